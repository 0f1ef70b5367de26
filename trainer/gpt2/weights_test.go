package gpt2

import (
	"bytes"
	"encoding/binary"
	"io"
	"math"
	"slices"
	"strings"
	"testing"

	"frugal/torch"
	"frugal/trainer/safetensors"
)

var tiny = Config{VocabSize: 17, HiddenSize: 6, NumLayers: 2, NumHeads: 3, IntermediateSize: 11, MaxPositionEmbeddings: 7, LayerNormEpsilon: 1e-5}

// file holds tensors as a safetensors file.
func file(t *testing.T, sources []safetensors.Source) *safetensors.File {
	t.Helper()
	var b bytes.Buffer
	if err := safetensors.Write(&b, nil, sources); err != nil {
		t.Fatal(err)
	}
	f, err := safetensors.Parse(b.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func source(name, dtype string, shape []int64, data []byte) safetensors.Source {
	return safetensors.Source{Name: name, DType: dtype, Shape: shape, Write: func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	}}
}

func TestWeightsComeBackFromAFileOfAnyDTypeAndPrefix(t *testing.T) {
	for _, c := range []struct {
		name, prefix, dtype string
		torchDType          torch.DType
	}{
		{"fp32", "transformer.", "F32", torch.Float32}, {"without prefix", "", "F32", torch.Float32},
		{"fp16", "transformer.", "F16", torch.Float16}, {"bf16", "transformer.", "BF16", torch.BFloat16},
	} {
		t.Run(c.name, func(t *testing.T) {
			onThread(t, func() {
				from, to := New(tiny, torch.CPU), New(tiny, torch.CPU)
				defer from.Free()
				defer to.Free()
				from.Init(1)
				to.Init(2)
				var sources []safetensors.Source
				for _, p := range from.Parameters() {
					name := c.prefix + strings.TrimPrefix(p.Name, "transformer.")
					sources = append(sources, source(name, c.dtype, p.Tensor.Shape(), p.Tensor.To(c.torchDType, torch.CPU).Bytes()))
				}
				wte := from.Parameters()[0].Tensor
				sources = append(sources,
					source("lm_head.weight", c.dtype, wte.Shape(), wte.To(c.torchDType, torch.CPU).Bytes()),
					source(c.prefix+"h.0.attn.bias", "U8", []int64{1, 1, 2, 2}, make([]byte, 4)),
					source(c.prefix+"h.1.attn.masked_bias", "F32", nil, make([]byte, 4)))
				if err := to.LoadWeights(file(t, sources)); err != nil {
					t.Fatal(err)
				}
				for i, p := range to.Parameters() {
					want := from.Parameters()[i].Tensor.To(c.torchDType, torch.CPU).To(torch.Float32, torch.CPU)
					if !p.Tensor.Detach().Equal(want) {
						t.Errorf("%s differs", p.Name)
					}
				}
			})
		})
	}
}

func TestLoadWeightsNamesWhatIsWrong(t *testing.T) {
	nan := binary.LittleEndian.AppendUint32(make([]byte, 5*4), math.Float32bits(float32(math.NaN())))
	drop := func(name string) func([]safetensors.Source) []safetensors.Source {
		return func(s []safetensors.Source) []safetensors.Source {
			return slices.DeleteFunc(s, func(s safetensors.Source) bool { return strings.HasPrefix(s.Name, name) })
		}
	}
	replace := func(with safetensors.Source) func([]safetensors.Source) []safetensors.Source {
		return func(s []safetensors.Source) []safetensors.Source { return append(drop(with.Name)(s), with) }
	}
	for _, c := range []struct {
		name string
		edit func([]safetensors.Source) []safetensors.Source
		want string
	}{
		{"missing", drop("transformer.ln_f.bias"), "transformer.ln_f.bias is missing"},
		{"a missing block", drop("transformer.h.1."), "transformer.h.1.attn.c_proj.bias is missing; and 6 more"},
		{"unknown", replace(source("transformer.h.2.ln_1.bias", "F32", []int64{1}, make([]byte, 4))), "transformer.h.2.ln_1.bias is unknown"},
		{"shape", replace(source("transformer.ln_f.bias", "F32", []int64{2, 3}, make([]byte, 24))), "transformer.ln_f.bias has shape [2 3], want [6]"},
		{"dtype", replace(source("transformer.ln_f.bias", "I32", []int64{6}, make([]byte, 24))), "transformer.ln_f.bias is I32, want F32, F16 or BF16"},
		{"not finite", replace(source("transformer.ln_f.bias", "F32", []int64{6}, nan)), "transformer.ln_f.bias holds values that are not finite"},
		{"not finite bf16", replace(source("transformer.ln_f.bias", "BF16", []int64{6}, append(make([]byte, 10), 0x80, 0xff))), "transformer.ln_f.bias holds values that are not finite"},
		{"an untied output", replace(source("lm_head.weight", "F32", []int64{17, 6}, make([]byte, 17*6*4))), "lm_head.weight differs from wte.weight: only the tied output is supported"},
		{"both prefixes", replace(source("ln_f.bias", "F32", []int64{6}, make([]byte, 24))), "transformer.ln_f.bias is there with and without the prefix transformer."},
	} {
		t.Run(c.name, func(t *testing.T) {
			onThread(t, func() {
				m := New(tiny, torch.CPU)
				defer m.Free()
				m.Init(1)
				before := m.Parameters()[0].Tensor.Bytes()
				err := m.LoadWeights(file(t, c.edit(m.WeightSources())))
				if err == nil || !strings.HasSuffix(err.Error(), c.want) {
					t.Errorf("error is %v, want %s", err, c.want)
				}
				if err != nil && strings.Contains(err.Error(), "\n") {
					t.Errorf("%q is more than one line", err)
				}
				if !bytes.Equal(before, m.Parameters()[0].Tensor.Bytes()) {
					t.Error("a refused file changed the weights")
				}
			})
		})
	}
}

func TestWritingWeightsPassesTheWritersErrorOn(t *testing.T) {
	onThread(t, func() {
		m := New(tiny, torch.CPU)
		defer m.Free()
		m.Init(1)
		for _, s := range m.WeightSources() {
			if err := s.Write(failingWriter{}); err != io.ErrShortWrite {
				t.Fatalf("%s: error is %v, want %v", s.Name, err, io.ErrShortWrite)
			}
		}
	})
}

type failingWriter struct{}

func (failingWriter) Write([]byte) (int, error) { return 0, io.ErrShortWrite }
