package trainer

// Opening a model that is there, without a run around it.

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"regexp"

	"frugal/torch"
	"frugal/trainer/checkpoint"
	"frugal/trainer/gpt2"
	"frugal/trainer/internal/vfs"
	"frugal/trainer/tokenizer"
)

// Pretrained is a model with its tokenizer.
type Pretrained struct {
	Model     *gpt2.Model // the caller frees it
	Tokenizer *tokenizer.Tokenizer
	Dir       string  // where they lay
	PassedBy  []error // newer checkpoints that were damaged
}

// EndToken is the id that ends a text; -1 where there is none.
func (p *Pretrained) EndToken() int64 {
	if id, ok := p.Tokenizer.EndToken(); ok {
		return int64(id)
	}
	return -1
}

// OpenPretrained opens a Hugging Face GPT-2 directory (config.json, model.safetensors, tokenizer.json or vocab.json and merges.txt; without them it is
// GPT-2's own tokenizer if vocab_size is 50257), such as a final_model or a checkpoint, or a run's output_dir: then its
// final_model, or else its newest intact checkpoint. It belongs on the tensor thread.
func OpenPretrained(dir string, device torch.Device) (p *Pretrained, err error) {
	defer protect("opening "+dir, &err)
	return openPretrained(vfs.OS, dir, device)
}

func openPretrained(fsys vfs.FS, dir string, device torch.Device) (*Pretrained, error) {
	p, c, err := findPretrained(fsys, dir)
	if err != nil {
		return nil, err
	}
	file, err := p.mapWeights(fsys, c)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	if err := p.load(c, file, device); err != nil {
		return nil, err
	}
	return p, nil
}

// findPretrained is everything about a model but its weights.
func findPretrained(fsys vfs.FS, dir string) (p *Pretrained, c gpt2.Config, err error) {
	p = &Pretrained{}
	if err := p.find(fsys, dir); err != nil {
		return nil, c, err
	}
	path := filepath.Join(p.Dir, "config.json")
	text, err := vfs.ReadFile(fsys, path)
	if err != nil {
		return nil, c, err
	}
	if c, err = gpt2.ParseConfig(text); err != nil {
		return nil, c, fmt.Errorf("%s: %w", path, err)
	}
	if err := p.openTokenizer(fsys, c.VocabSize); err != nil {
		return nil, c, err
	}
	return p, c, nil
}

func (p *Pretrained) weightsPath() string { return filepath.Join(p.Dir, "model.safetensors") }

// mapWeights maps the file of the weights; the caller closes it.
func (p *Pretrained) mapWeights(fsys vfs.FS, c gpt2.Config) (vfs.Mapping, error) {
	path := p.weightsPath()
	file, err := fsys.Map(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s: no such file%s", path, otherWeights(fsys, p.Dir))
	}
	if err != nil {
		return nil, err
	}
	if least := 2 * c.NumParameters(); int64(len(file.Bytes())) < least { // before memory is taken for what cannot be there
		file.Close()
		return nil, fmt.Errorf("%s: %d bytes are too few for the model of %s, whose weights take %d at least", path, len(file.Bytes()),
			filepath.Join(p.Dir, "config.json"), least)
	}
	return file, nil
}

// load makes the model.
func (p *Pretrained) load(c gpt2.Config, file vfs.Mapping, device torch.Device) error {
	p.Model = gpt2.New(c, device)
	complete := false
	defer freeUnless(&complete, p.Model.Free)
	if err := loadWeights(p.Model, file.Bytes()); err != nil {
		return fmt.Errorf("%s: %w", p.weightsPath(), err)
	}
	complete = true
	return nil
}

// checkpointName is a checkpoint's directory: model_name, step.
var checkpointName = regexp.MustCompile(`^(.+)_step_[0-9]+$`)

// find sets Dir: dir itself, its final_model, or its newest checkpoint.
func (p *Pretrained) find(fsys vfs.FS, dir string) error {
	entries, err := fsys.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, p.Dir = range []string{dir, filepath.Join(dir, "final_model")} {
		if _, err := fsys.Stat(filepath.Join(p.Dir, "config.json")); err == nil {
			return nil
		} else if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	var newest *checkpoint.Checkpoint
	var problem error
	seen := map[string]bool{}
	for _, entry := range entries {
		name := checkpointName.FindStringSubmatch(entry.Name())
		if name == nil || seen[name[1]] {
			continue
		}
		seen[name[1]] = true
		c, passedBy, err := checkpoint.Newest(fsys, dir, name[1])
		p.PassedBy = append(p.PassedBy, passedBy...)
		if err != nil {
			problem = err
		} else if c != nil && (newest == nil || c.Step > newest.Step) {
			newest = c
		}
	}
	switch {
	case newest != nil:
		p.Dir = newest.Dir
		return nil
	case problem != nil:
		return problem
	}
	return fmt.Errorf("%s: want a directory with a model (config.json, model.safetensors) or a run's output_dir", dir)
}

func (p *Pretrained) openTokenizer(fsys vfs.FS, vocabSize int) (err error) {
	const gpt2Size = 50257
	p.Tokenizer, _, err = tokenizer.LoadDir(fsys, p.Dir)
	if err == nil && p.Tokenizer == nil {
		if vocabSize != gpt2Size {
			return fmt.Errorf("%s: there is no tokenizer.json, and a vocabulary of %d is not GPT-2's of %d", p.Dir, vocabSize, gpt2Size)
		}
		p.Tokenizer, err = tokenizer.GPT2()
	}
	if err == nil && p.Tokenizer.VocabSize() > vocabSize {
		return fmt.Errorf("%s: the tokenizer has %d tokens, and the model's vocab_size is %d", p.Dir, p.Tokenizer.VocabSize(), vocabSize)
	}
	return err
}

// ChooseDevice resolves auto, cpu, cuda and cuda:N, and says why. Ask before any other tensor work, on the tensor thread.
func ChooseDevice(name string) (device torch.Device, reason string, err error) {
	return chooseDevice(name)
}
