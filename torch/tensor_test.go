package torch

import (
	"math"
	"slices"
	"testing"
)

func TestBytesGoInAndComeBack(t *testing.T) {
	for dtype, d := range dtypes {
		t.Run(d.name, func(t *testing.T) {
			onThread(t, func() {
				data := make([]byte, 6*d.size)
				for i := range 2 * d.size { // two elements of a pattern that every dtype can hold
					data[i] = 1
				}
				x := FromBytes(data, []int64{2, 3}, dtype, CPU)
				if got := x.Bytes(); !slices.Equal(got, data) {
					t.Errorf("bytes %v, want %v", got, data)
				}
				if x.DType() != dtype || x.Device() != CPU || x.NumElements() != 6 || x.NumBytes() != int64(len(data)) || !slices.Equal(x.Shape(), []int64{2, 3}) {
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
		if none := FromBytes(nil, []int64{0, 4}, Float32, CPU); none.NumElements() != 0 || len(none.Bytes()) != 0 {
			t.Errorf("%v is not empty", none)
		}
		if s := Full(nil, 2.5, Float64, CPU); len(s.Shape()) != 0 || s.Item() != 2.5 {
			t.Errorf("%v is not a scalar of 2.5", s)
		}
	})
}

func TestConversionsAndCopies(t *testing.T) {
	onThread(t, func() {
		x := values(1.5, -2, 3)
		if got := x.To(Int64, CPU).Int64s(); !slices.Equal(got, []int64{1, -2, 3}) {
			t.Errorf("as int64: %v", got)
		}
		if got := FromFloat64s([]float64{1.0000001}, []int64{1}, CPU).To(BFloat16, CPU).Float32s(); got[0] != 1 {
			t.Errorf("bfloat16 is %v", got)
		}
		same, clone := x.To(Float32, CPU), x.Clone()
		x.Fill_(7)
		if same.Float32s()[0] != 7 || clone.Float32s()[0] != 1.5 {
			t.Errorf("after Fill_: same dtype %v, clone %v", same.Float32s(), clone.Float32s())
		}
		if !x.Copy_(FromFloat64s([]float64{1, 2, 3}, []int64{3}, CPU)).Equal(values(1, 2, 3)) || x.Equal(clone) {
			t.Error("Copy_ or Equal is wrong")
		}
		if nan := values(float32(math.NaN())); nan.Equal(nan.Clone()) {
			t.Error("NaN equals NaN")
		}
	})
}

func TestWholeNumbersKeepAnIntegerDType(t *testing.T) {
	onThread(t, func() {
		x := FromInt64s([]int64{-1, 3}, []int64{2}, CPU)
		for name, y := range map[string]*Tensor{"ClampMin": x.ClampMin(0), "MulScalar": x.MulScalar(2), "AddScalar_": x.Clone().AddScalar_(1)} {
			if y.DType() != Int64 {
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
		f    func() *Tensor
		want []float32
	}{
		{"Add broadcasts", func() *Tensor { return values(1, 2).Reshape(2, 1).Add(values(10, 20)) }, []float32{11, 21, 12, 22}},
		{"AddScaled", func() *Tensor { return values(1, 2).AddScaled(values(10, 20), -0.5) }, []float32{-4, -8}},
		{"Add_ of a lower precision", func() *Tensor { return values(1, 2).Add_(values(1, 1).To(BFloat16, CPU)) }, []float32{2, 3}},
		{"Sub", func() *Tensor { return values(1, 2).Sub(values(3, 5)) }, []float32{-2, -3}},
		{"Mul", func() *Tensor { return values(2, 3).Mul(values(4)) }, []float32{8, 12}},
		{"Mul_", func() *Tensor { return values(2, 3).Mul_(values(4, 5)) }, []float32{8, 15}},
		{"MulScalar_", func() *Tensor { return values(2, 3).MulScalar_(0.5) }, []float32{1, 1.5}},
		{"Div", func() *Tensor { return values(1, 3).Div(values(2)) }, []float32{0.5, 1.5}},
		{"Reciprocal", func() *Tensor { return values(2, 4).Reciprocal() }, []float32{0.5, 0.25}},
		{"Exp_", func() *Tensor { return values(0, 1).Exp_() }, []float32{1, math.E}},
		{"SumTo", func() *Tensor { return values(1<<24, 1, 1, 1).SumTo(Float64).AddScalar_(-1 << 24) }, []float32{3}},
		{"GreaterEqual", func() *Tensor { return values(-1, 0, 1).GreaterEqual(0).To(Float32, CPU) }, []float32{0, 1, 1}},
		{"MatMul", func() *Tensor { return values(1, 2, 3, 4).Reshape(2, 2).MatMul(values(5, 6).Reshape(2, 1)) }, []float32{17, 39}},
		{"AddMM", func() *Tensor { return AddMM(values(1), values(2, 3).Reshape(1, 2), values(4, 5).Reshape(2, 1)) }, []float32{24}},
		{"AddMM_", func() *Tensor {
			return values(1).Reshape(1, 1).AddMM_(values(2).Reshape(1, 1), values(3).Reshape(1, 1))
		}, []float32{7}},
		{"LogSoftmax", func() *Tensor { return values(0, 0, 0, 0).To(BFloat16, CPU).LogSoftmax(0, Float32) }, []float32{-1.3862944, -1.3862944, -1.3862944, -1.3862944}},
		{"Gather", func() *Tensor {
			return values(1, 2, 3, 4).Reshape(2, 2).Gather(1, FromInt64s([]int64{1, 0}, []int64{2, 1}, CPU))
		}, []float32{2, 3}},
		{"IndexPutAdd_ adds where an index comes twice", func() *Tensor {
			twice := FromInt64s([]int64{1, 1}, []int64{2}, CPU)
			return values(0, 0, 0, 0).Reshape(2, 2).IndexPutAdd_(twice, twice, values(5))
		}, []float32{0, 0, 0, 10}},
		{"IndexSelect", func() *Tensor { return values(1, 2, 3).IndexSelect(0, FromInt64s([]int64{2, 0}, []int64{2}, CPU)) }, []float32{3, 1}},
		{"Where", func() *Tensor { return Where(values(1, 0), values(5, 6), values(7, 8)) }, []float32{5, 8}},
		{"Narrow", func() *Tensor { return values(1, 2, 3).Narrow(0, 1, 2) }, []float32{2, 3}},
		{"Embedding", func() *Tensor {
			return Embedding(values(1, 2, 3, 4).Reshape(2, 2), FromInt64s([]int64{1, 0}, []int64{1, 2}, CPU))
		}, []float32{3, 4, 1, 2}},
		{"LayerNorm", func() *Tensor { return LayerNorm(values(1, 3), values(2, 2), values(10, 10), 0) }, []float32{8, 12}},
		{"GELU", func() *Tensor { return values(1).GELU() }, []float32{0.8413447}},
		{"GELUTanh", func() *Tensor { return values(1).GELUTanh() }, []float32{0.841192}},
		{"Attention of the first position sees itself alone", func() *Tensor {
			q := values(1, 1, 1, 1).Reshape(1, 1, 2, 2)
			return Attention(q, q, values(1, 2, 3, 4).Reshape(1, 1, 2, 2), 0, true)
		}, []float32{1, 2, 2, 3}},
		{"Attention without causality", func() *Tensor {
			q := values(1, 1, 1, 1).Reshape(1, 1, 2, 2)
			return Attention(q, q, values(1, 2, 3, 4).Reshape(1, 1, 2, 2), 0, false)
		}, []float32{2, 3, 2, 3}},
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
		ones := Full([]int64{1000}, 1, Float32, CPU)
		draw := func(seed uint64) (*Tensor, *Tensor) {
			ManualSeed(CPU, seed)
			return ones.Dropout(0.25), RandN([]int64{1000}, CPU)
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
