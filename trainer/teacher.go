package trainer

// The teacher of a distilled run: found and checked before anything expensive happens, loaded where no cache stands for it.

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"

	"frugal/torch"
	"frugal/trainer/distill"
	"frugal/trainer/distill/cache"
	"frugal/trainer/gpt2"
	"frugal/trainer/internal/vfs"
	"frugal/trainer/monitor"
	"frugal/trainer/safetensors"
)

// distillation is what a run has of its teacher.
type distillation struct {
	loss        distill.Loss // without its Sum
	fingerprint string       // of the teacher
	parameters  int64        // the teacher's

	found    *foundTeacher    // nil: its directory is gone, and a cache stands for it
	teacher  *distill.Teacher // nil: a cache stands for it, or a dry run is to say what the cache would be
	cache    *cache.Cache     // nil: the exact loss, or a dry run without one
	unfilled bool             // there is no cache yet, and found is to fill it
	planned  int64            // bytes that a cache would have, in a dry run
	timing   bool             // the step is a dry run's, of rows that are nowhere

	task, sum *torch.Tensor // sums of cross entropies and of T²·KL since the losses were read: float64 scalars on the device
}

// foundTeacher is a model that has been looked at and not loaded.
type foundTeacher struct {
	*Pretrained
	config  gpt2.Config
	weights vfs.Mapping
}

func (r *run) teacherProblem(message string) error {
	return r.problem("distillation.teacher", r.config.Distillation.Teacher, message)
}

// findTeacherFirst looks for the teacher of a fresh run before its texts are read, which may take long.
func (r *run) findTeacherFirst() error {
	if r.from != nil {
		return nil
	}
	return r.findTeacher()
}

// findTeacherLast looks for that of a run that goes on, now that it is known whether it does: a complete one needs no teacher.
func (r *run) findTeacherLast() error {
	if r.from == nil || r.isComplete() {
		return nil
	}
	return r.findTeacher()
}

// findTeacher looks at the teacher's directory, unless there is nothing to ask of it. Only with a cache may it be gone.
func (r *run) findTeacher() (err error) {
	c := r.config.Distillation
	if !c.Enabled {
		return nil
	}
	if c.Alpha == 0 {
		r.infof("distillation: distillation.alpha is 0: the teacher is not loaded, and this is plain training")
		return nil
	}
	d := &distillation{loss: distill.Loss{Temperature: c.Temperature, Alpha: c.Alpha}}
	r.distillation = d
	if _, err := r.fs.Stat(c.Teacher); c.Cache != "" && (c.Teacher == "" || errors.Is(err, fs.ErrNotExist)) {
		return nil
	} else if errors.Is(err, fs.ErrNotExist) {
		return r.teacherProblem("no such directory")
	}
	if d.found, err = r.lookAtTeacher(c.Teacher); err != nil {
		return r.teacherProblem("no model to learn from: " + err.Error())
	}
	r.onClose(func() { d.found.weights.Close() })
	if r.isOwnOutput(d.found.Dir) {
		return r.teacherProblem("it lies in this run's own output_dir, where it would change as the student learns; choose another output_dir")
	}
	for _, passedBy := range d.found.PassedBy {
		r.logger.Warnf("distillation.teacher: passed over %v", passedBy)
	}
	if message := r.unfitTeacher(d.found); message != "" {
		return r.teacherProblem(message)
	}
	file, err := safetensors.Parse(d.found.weights.Bytes())
	if err != nil {
		return r.teacherProblem(fmt.Sprintf("%s: %v", d.found.weightsPath(), err))
	}
	d.fingerprint, d.parameters = distill.Fingerprint(d.found.config, file), d.found.config.NumParameters()
	return nil
}

func (r *run) lookAtTeacher(dir string) (*foundTeacher, error) {
	p, c, err := findPretrained(r.fs, dir)
	if err != nil {
		return nil, err
	}
	weights, err := p.mapWeights(r.fs, c)
	if err != nil {
		return nil, err
	}
	return &foundTeacher{p, c, weights}, nil
}

// unfitTeacher says why the student cannot learn from the teacher; "" if it can.
func (r *run) unfitTeacher(t *foundTeacher) string {
	c := r.config
	if t.Tokenizer.Fingerprint() != r.tokenizer.Fingerprint() {
		advice := "tokenizer.type to gpt2"
		if path := filepath.Join(t.Dir, "tokenizer.json"); exists(r.fs, path) {
			advice = "tokenizer.path to " + path
		}
		return fmt.Sprintf("its tokenizer is another than the student's, and with it the meaning of every id; set %s", advice)
	}
	if t.config.VocabSize != c.VocabSize {
		return fmt.Sprintf("its vocab_size is %d and the student's %d; set vocab_size to %d", t.config.VocabSize, c.VocabSize, t.config.VocabSize)
	}
	if t.config.MaxPositionEmbeddings < c.MaxPositionEmbeddings {
		return fmt.Sprintf("its max_position_embeddings is %d, and the student's rows have up to %d tokens; set max_position_embeddings to at most %d",
			t.config.MaxPositionEmbeddings, c.MaxPositionEmbeddings, t.config.MaxPositionEmbeddings)
	}
	return ""
}

// isOwnOutput says whether a directory is the run's output_dir or lies in it.
func (r *run) isOwnOutput(dir string) bool {
	real := func(path string) string {
		if absolute, err := filepath.Abs(path); err == nil {
			path = absolute
		}
		if resolved, err := filepath.EvalSymlinks(path); err == nil {
			path = resolved
		}
		return path
	}
	relative, err := filepath.Rel(real(r.config.OutputDir), real(dir))
	return err == nil && relative != ".." && !strings.HasPrefix(relative, "../")
}

func exists(fsys vfs.FS, path string) bool {
	_, err := fsys.Stat(path)
	return err == nil
}

// buildTeacher makes what the loss is computed from: the cache, or the teacher in memory. It comes before the student's memory is
// taken, so that a device never holds the student and the teacher that fills a cache.
func (r *run) buildTeacher(stopped func() error) error {
	d := r.distillation
	if d == nil {
		return nil
	}
	var err error
	switch {
	case d.unfilled:
		err = r.buildTeacherCache(stopped)
	case d.cache == nil:
		if d.teacher, err = r.loadTeacher(); err == nil {
			r.onClose(d.teacher.Free)
		}
	}
	if err != nil {
		return err
	}
	return r.makeLossSums()
}

func (r *run) makeLossSums() (err error) {
	defer protect("making the losses' sums", &err)
	d := r.distillation
	for _, sum := range []**torch.Tensor{&d.task, &d.sum} {
		*sum = torch.Zeros(nil, torch.Float64, r.device).Detached()
		r.onClose((*sum).Free)
	}
	return nil
}

func (r *run) loadTeacher() (_ *distill.Teacher, err error) {
	defer protect("loading the teacher", &err)
	t := r.distillation.found
	if err := t.load(t.config, t.weights, r.device); err != nil {
		return nil, r.teacherProblem(err.Error())
	}
	complete := false
	defer freeUnless(&complete, t.Model.Free)
	teacher := distill.NewTeacher(t.Model, r.precision)
	complete = true
	return teacher, nil
}

// sayTeacher tells who teaches and how, once the student is there to be compared with.
func (r *run) sayTeacher() error {
	d, c := r.distillation, r.config.Distillation
	if d == nil {
		return nil
	}
	who, memory := cmp.Or(c.Teacher, "gone, known by its cache"), ""
	switch {
	case d.teacher != nil:
		memory = "; its weights take " + monitor.FormatBytes(d.teacher.Bytes())
	case d.cache != nil:
		memory = fmt.Sprintf("; it is not in memory: the cache of its %d largest probabilities, computed in %s, %s on disk, stands for it",
			d.cache.Contents().TopK, d.cache.Contents().Precision, monitor.FormatBytes(d.cache.Bytes()))
	}
	if d.found != nil {
		who = d.found.Dir
	}
	r.infof("distillation: teacher %s, %s parameters, of which the student has %.0f%%; temperature %v, alpha %v%s", who,
		monitor.FormatCount(d.parameters), 100*float64(r.model.NumParameters())/float64(d.parameters), c.Temperature, c.Alpha, memory)
	return nil
}

// objective weighs a window's sums.
func (d *distillation) objective(task, distilled *torch.Tensor) *torch.Tensor {
	return task.MulScalar(d.loss.TaskWeight()).AddScaled(distilled, d.loss.Alpha)
}
