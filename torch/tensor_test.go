package torch_test

import (
	"math"
	"slices"
	"testing"

	"frugal/torch"
)

func TestBytesGoInAndComeBack(t *testing.T) {
	for _, dtype := range []torch.DType{torch.Uint8, torch.Int32, torch.Int64, torch.Float16, torch.Float32, torch.Float64, torch.Bool, torch.BFloat16} {
		t.Run(dtype.String(), func(t *testing.T) {
			onThread(t, func() {
				data := make([]byte, 6*dtype.Size())
				for i := range 2 * dtype.Size() { // two elements of a pattern that every dtype can hold
					data[i] = 1
				}
				x := torch.FromBytes(data, []int64{2, 3}, dtype, torch.CPU)
				if got := x.Bytes(); !slices.Equal(got, data) {
					t.Errorf("bytes %v, want %v", got, data)
				}
				if x.DType() != dtype || x.Device() != torch.CPU || x.NumElements() != 6 || x.NumBytes() != int64(len(data)) || !slices.Equal(x.Shape(), []int64{2, 3}) {
					t.Errorf("%v: %d elements, %d bytes", x, x.NumElements(), x.NumBytes())
				}
				if got := x.Transpose(0, 1).Bytes(); len(got) != len(data) || slices.Equal(got, data) {
					t.Errorf("the transposed tensor's bytes are not in its own order")
				}
			})
		})
	}
}

func TestEmptyAndScalarShapes(t *testing.T) {
	onThread(t, func() {
		if none := torch.FromBytes(nil, []int64{0, 4}, torch.Float32, torch.CPU); none.NumElements() != 0 || len(none.Bytes()) != 0 {
			t.Errorf("%v is not empty", none)
		}
		if s := torch.Full(nil, 2.5, torch.Float64, torch.CPU); len(s.Shape()) != 0 || s.Item() != 2.5 {
			t.Errorf("%v is not a scalar of 2.5", s)
		}
	})
}

func TestConversionsAndCopies(t *testing.T) {
	onThread(t, func() {
		x := values(1.5, -2, 3)
		if got := x.To(torch.Int64, torch.CPU).Int64s(); !slices.Equal(got, []int64{1, -2, 3}) {
			t.Errorf("as int64: %v", got)
		}
		if got := torch.FromFloat64s([]float64{1.0000001}, []int64{1}, torch.CPU).To(torch.BFloat16, torch.CPU).Float32s(); got[0] != 1 {
			t.Errorf("bfloat16 is %v", got)
		}
		same, clone := x.To(torch.Float32, torch.CPU), x.Clone()
		x.Fill_(7)
		if same.Float32s()[0] != 7 || clone.Float32s()[0] != 1.5 {
			t.Errorf("after Fill_: same dtype %v, clone %v", same.Float32s(), clone.Float32s())
		}
		if !x.Copy_(torch.FromFloat64s([]float64{1, 2, 3}, []int64{3}, torch.CPU)).Equal(values(1, 2, 3)) || x.Equal(clone) {
			t.Error("Copy_ or Equal is wrong")
		}
		if nan := values(float32(math.NaN())); nan.Equal(nan.Clone()) {
			t.Error("NaN equals NaN")
		}
	})
}

func TestWholeNumbersKeepAnIntegerDType(t *testing.T) {
	onThread(t, func() {
		x := torch.FromInt64s([]int64{-1, 3}, []int64{2}, torch.CPU)
		for name, y := range map[string]*torch.Tensor{"ClampMin": x.ClampMin(0), "MulScalar": x.MulScalar(2), "AddScalar_": x.Clone().AddScalar_(1)} {
			if y.DType() != torch.Int64 {
				t.Errorf("%s gives %s", name, y.DType())
			}
		}
		if got := x.ClampMin(0).Int64s(); !slices.Equal(got, []int64{0, 3}) {
			t.Errorf("clamped %v", got)
		}
		if got := x.MulScalar(0.5).Float32s(); !slices.Equal(got, []float32{-0.5, 1.5}) {
			t.Errorf("halves %v", got)
		}
	})
}

// each row: an expression and the values that it must have.
func TestArithmetic(t *testing.T) {
	for _, c := range []struct {
		name string
		f    func() *torch.Tensor
		want []float32
	}{
		{"Add broadcasts", func() *torch.Tensor { return values(1, 2).Reshape(2, 1).Add(values(10, 20)) }, []float32{11, 21, 12, 22}},
		{"AddScaled", func() *torch.Tensor { return values(1, 2).AddScaled(values(10, 20), -0.5) }, []float32{-4, -8}},
		{"Add_ of a lower precision", func() *torch.Tensor { return values(1, 2).Add_(values(1, 1).To(torch.BFloat16, torch.CPU)) }, []float32{2, 3}},
		{"Sub", func() *torch.Tensor { return values(1, 2).Sub(values(3, 5)) }, []float32{-2, -3}},
		{"Mul", func() *torch.Tensor { return values(2, 3).Mul(values(4)) }, []float32{8, 12}},
		{"Mul_", func() *torch.Tensor { return values(2, 3).Mul_(values(4, 5)) }, []float32{8, 15}},
		{"Reciprocal", func() *torch.Tensor { return values(2, 4).Reciprocal() }, []float32{0.5, 0.25}},
		{"Exp_", func() *torch.Tensor { return values(0, 1).Exp_() }, []float32{1, math.E}},
		{"Sub_ of a lower precision", func() *torch.Tensor { return values(1, 2).Sub_(values(1, 1).To(torch.BFloat16, torch.CPU)) }, []float32{0, 1}},
		{"Log", func() *torch.Tensor { return values(1, math.E).Log() }, []float32{0, 1}},
		{"SumDim", func() *torch.Tensor { return values(1, 2, 3, 4).Reshape(2, 2).SumDim(-1) }, []float32{3, 7}},
		{"ScatterFill_", func() *torch.Tensor {
			index := torch.FromInt64s([]int64{1, 0}, []int64{2, 1}, torch.CPU)
			return values(1, 2, 3, 4).Reshape(2, 2).ScatterFill_(1, index, 9)
		}, []float32{1, 9, 9, 4}},
		{"TopK's values", func() *torch.Tensor {
			v, _ := values(3, 1, 2, 4, 6, 5).Reshape(2, 3).TopK(2)
			return v
		}, []float32{3, 2, 6, 5}},
		{"TopK's places", func() *torch.Tensor {
			_, places := values(3, 1, 2, 4, 6, 5).Reshape(2, 3).TopK(2)
			return places.To(torch.Float32, torch.CPU)
		}, []float32{0, 2, 1, 2}},
		{"SumTo", func() *torch.Tensor { return values(1<<24, 1, 1, 1).SumTo(torch.Float64).AddScalar_(-1 << 24) }, []float32{3}},
		{"GreaterEqual", func() *torch.Tensor { return values(-1, 0, 1).GreaterEqual(0).To(torch.Float32, torch.CPU) }, []float32{0, 1, 1}},
		{"MatMul", func() *torch.Tensor { return values(1, 2, 3, 4).Reshape(2, 2).MatMul(values(5, 6).Reshape(2, 1)) }, []float32{17, 39}},
		{"LogSoftmax", func() *torch.Tensor {
			return values(0, 0, 0, 0).To(torch.BFloat16, torch.CPU).LogSoftmax(0, torch.Float32)
		}, []float32{-1.3862944, -1.3862944, -1.3862944, -1.3862944}},
		{"Gather", func() *torch.Tensor {
			return values(1, 2, 3, 4).Reshape(2, 2).Gather(1, torch.FromInt64s([]int64{1, 0}, []int64{2, 1}, torch.CPU))
		}, []float32{2, 3}},
		{"ScatterAdd_ adds where an index comes twice", func() *torch.Tensor {
			index := torch.FromInt64s([]int64{1, 1, 0, 1}, []int64{2, 2}, torch.CPU)
			return values(1, 1, 1, 1).Reshape(2, 2).ScatterAdd_(1, index, values(5, 6, 7, 8).Reshape(2, 2))
		}, []float32{1, 12, 8, 9}},
		{"IndexSelect", func() *torch.Tensor {
			return values(1, 2, 3).IndexSelect(0, torch.FromInt64s([]int64{2, 0}, []int64{2}, torch.CPU))
		}, []float32{3, 1}},
		{"Where", func() *torch.Tensor { return torch.Where(values(1, 0), values(5, 6), values(7, 8)) }, []float32{5, 8}},
		{"Narrow", func() *torch.Tensor { return values(1, 2, 3).Narrow(0, 1, 2) }, []float32{2, 3}},
		{"Embedding", func() *torch.Tensor {
			return torch.Embedding(values(1, 2, 3, 4).Reshape(2, 2), torch.FromInt64s([]int64{1, 0}, []int64{1, 2}, torch.CPU))
		}, []float32{3, 4, 1, 2}},
		{"LayerNorm", func() *torch.Tensor {
			return torch.LayerNorm(values(1, 3), torch.Affine{Weight: values(2, 2), Bias: values(10, 10)}, 0, torch.Float32)
		}, []float32{8, 12}},
		{"GELU", func() *torch.Tensor { return values(1).GELU() }, []float32{0.8413447}},
		{"GELUTanh", func() *torch.Tensor { return values(1).GELUTanh() }, []float32{0.841192}},
		{"SelfAttention's first position sees itself alone", func() *torch.Tensor {
			return torch.SelfAttention(values(1, 1, 1, 1, 1, 2, 1, 1, 1, 1, 3, 4).Reshape(1, 2, 6), 1, 0, torch.Flash)
		}, []float32{1, 2, 2, 3}},
	} {
		t.Run(c.name, func(t *testing.T) {
			onThread(t, func() {
				got := c.f().Float32s()
				if len(got) != len(c.want) {
					t.Fatalf("%v, want %v", got, c.want)
				}
				for i, v := range got {
					if math.Abs(float64(v-c.want[i])) > 1e-6*max(1, math.Abs(float64(c.want[i]))) {
						t.Errorf("%v, want %v", got, c.want)
					}
				}
			})
		})
	}
}

func TestASeedDecidesWhatIsDrawn(t *testing.T) {
	onThread(t, func() {
		ones := torch.Full([]int64{1000}, 1, torch.Float32, torch.CPU)
		draw := func(seed uint64) (*torch.Tensor, *torch.Tensor) {
			torch.ManualSeed(torch.CPU, seed)
			return ones.Dropout(0.25), torch.RandN([]int64{1000}, torch.CPU)
		}
		d1, n1 := draw(1)
		d2, n2 := draw(1)
		d3, n3 := draw(1 << 63)
		if !d1.Equal(d2) || !n1.Equal(n2) || d1.Equal(d3) || n1.Equal(n3) {
			t.Error("the same seed must draw the same numbers, and another others")
		}
		if ones.Dropout(0) != ones {
			t.Error("Dropout(0) is not the tensor itself")
		}
		kept := 0
		for _, v := range d1.Float32s() {
			if v != 0 {
				kept++
				if math.Abs(float64(v)-4.0/3) > 1e-6 {
					t.Fatalf("a kept element is %v, want 4/3", v)
				}
			}
		}
		if kept < 690 || kept > 810 {
			t.Errorf("%d of 1000 kept, want some 750", kept)
		}
	})
}
