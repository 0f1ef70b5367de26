package gpt2

// Weights in and out of safetensors files, under Hugging Face's names.

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"frugal/torch"
	"frugal/trainer/safetensors"
)

const prefix = "transformer."

// outputName is the tied output's own name, which some programs write beside the embedding.
const outputName = "lm_head.weight"

// format is an element type that weights are read from: its dtype and the exponent bits, all set where a value is not finite.
type format struct {
	dtype    torch.DType
	exponent uint32
}

var formats = map[string]format{
	"F32":  {torch.Float32, 0x7f800000},
	"F16":  {torch.Float16, 0x7c00},
	"BF16": {torch.BFloat16, 0x7f80},
}

// LoadWeights sets every weight from f, whose names may lack the prefix "transformer.", and whose values may be F32, F16 or
// BF16. The mask buffers of old files and an output equal to the embedding are passed over. Tensors that are missing, unknown,
// of another shape or element type, or not finite are one error that names them; the weights are then as they were.
func (m *Model) LoadWeights(f *safetensors.File) error {
	names, problems := m.fileNames(f)
	for _, p := range m.params {
		if err := checkTensor(f, p, names[p.Name]); err != nil {
			problems = append(problems, err.Error())
		}
	}
	if len(problems) > 0 {
		return errors.New(summary(problems))
	}
	m.Changed()
	torch.NoGrad(func() {
		for _, p := range m.params {
			m.load(f, p.Tensor, names[p.Name])
		}
	})
	return nil
}

// fileNames maps each parameter's name to the name it has in f, and says what else f holds.
func (m *Model) fileNames(f *safetensors.File) (names map[string]string, problems []string) {
	known := make(map[string]bool, len(m.params))
	for _, p := range m.params {
		known[p.Name] = true
	}
	names = make(map[string]string, len(m.params))
	for _, name := range f.Names() {
		full := prefix + strings.TrimPrefix(name, prefix)
		switch {
		case known[full] && names[full] != "":
			problems = append(problems, fmt.Sprintf("%s is there with and without the prefix %s", name, prefix))
		case known[full]:
			names[full] = name
		case name == outputName || isMaskBuffer(name):
		default:
			problems = append(problems, name+" is unknown")
		}
	}
	if _, output, ok := f.Tensor(outputName); ok {
		if _, embedding, _ := f.Tensor(names[prefix+"wte.weight"]); !bytes.Equal(output, embedding) {
			problems = append(problems, outputName+" differs from wte.weight: only the tied output is supported")
		}
	}
	return names, problems
}

// isMaskBuffer: files of before 2023 hold the causal mask of each block.
func isMaskBuffer(name string) bool {
	return strings.HasSuffix(name, ".attn.bias") || strings.HasSuffix(name, ".attn.masked_bias")
}

func checkTensor(f *safetensors.File, p Parameter, name string) error {
	info, data, ok := f.Tensor(name)
	if !ok {
		return fmt.Errorf("%s is missing", p.Name)
	}
	format, known := formats[info.DType]
	switch want := p.Tensor.Shape(); {
	case !known:
		return fmt.Errorf("%s is %s, want F32, F16 or BF16", name, info.DType)
	case !slices.Equal(info.Shape, want):
		return fmt.Errorf("%s has shape %v, want %v", name, info.Shape, want)
	case !format.finite(data):
		return fmt.Errorf("%s holds values that are not finite", name)
	}
	return nil
}

func (f format) finite(data []byte) bool {
	if f.dtype.Size() == 2 {
		for ; len(data) >= 2; data = data[2:] {
			if uint32(binary.LittleEndian.Uint16(data))&f.exponent == f.exponent {
				return false
			}
		}
		return true
	}
	for ; len(data) >= 4; data = data[4:] {
		if binary.LittleEndian.Uint32(data)&f.exponent == f.exponent {
			return false
		}
	}
	return true
}

func (m *Model) load(f *safetensors.File, t *torch.Tensor, name string) {
	scope := torch.OpenScope()
	defer scope.Close()
	info, data, _ := f.Tensor(name)
	t.Copy_(torch.FromBytes(data, info.Shape, formats[info.DType].dtype, torch.CPU))
}

// summary is one line of the first problems and how many more there are.
func summary(problems []string) string {
	const shown = 6
	if n := len(problems) - shown; n > 1 {
		problems = append(slices.Clone(problems[:shown]), fmt.Sprintf("and %d more", n))
	}
	return strings.Join(problems, "; ")
}

// WeightSources lists the weights in F32 for a safetensors file. Write copies them from the device as it streams, so it belongs
// on the tensor thread.
func (m *Model) WeightSources() []safetensors.Source {
	m.Settle()
	sources := make([]safetensors.Source, len(m.params))
	for i, p := range m.params {
		sources[i] = safetensors.Source{Name: p.Name, DType: "F32", Shape: p.Tensor.Shape(), Write: func(w io.Writer) error {
			_, err := p.Tensor.WriteTo(w)
			return err
		}}
	}
	return sources
}
