package monitor

import (
	"math"
	"testing"
	"time"
)

func TestFormatDuration(t *testing.T) {
	for d, want := range map[time.Duration]string{
		-time.Second: "0.0s", 0: "0.0s", 420 * time.Millisecond: "0.4s", 9949 * time.Millisecond: "9.9s",
		9950 * time.Millisecond: "10s", 59499 * time.Millisecond: "59s", 59500 * time.Millisecond: "1m00s",
		130 * time.Second: "2m10s", time.Hour - time.Second: "59m59s", time.Hour: "1h00m", 3*time.Hour + 5*time.Minute: "3h05m",
		24 * time.Hour: "1d00h", 52 * time.Hour: "2d04h", 1000 * 24 * time.Hour: "1000d00h",
	} {
		if got := FormatDuration(d); got != want {
			t.Errorf("%v: got %s, want %s", d, got, want)
		}
	}
}

func TestFormatCount(t *testing.T) {
	for n, want := range map[int64]string{
		0: "0", 7: "7", 999: "999", 1000: "1,000", 8120: "8,120", 123456: "123,456", 1234567: "1,234,567",
		-1: "-1", -999: "-999", -1000: "-1,000",
		math.MaxInt64: "9,223,372,036,854,775,807", math.MinInt64: "-9,223,372,036,854,775,808",
	} {
		if got := FormatCount(n); got != want {
			t.Errorf("%d: got %s, want %s", n, got, want)
		}
	}
}

func TestFormatBytes(t *testing.T) {
	for n, want := range map[int64]string{
		0: "0 B", 1023: "1023 B", 1024: "1.0 KB", 1536: "1.5 KB", 1<<20 - 1: "1.0 MB", 12345678: "11.8 MB",
		1 << 30: "1.0 GB", 4 << 30: "4.0 GB", 1 << 40: "1.0 TB", 5000 << 40: "5000.0 TB",
	} {
		if got := FormatBytes(n); got != want {
			t.Errorf("%d: got %s, want %s", n, got, want)
		}
	}
}

func TestFigures(t *testing.T) {
	f := figures{"epoch": 1.25, "loss": math.NaN(), "learning_rate": 0, "grad_norm": math.Inf(1), "tokens_per_second": math.Inf(1)}
	got := joinSegments([]segment{f.epoch(3), f.loss("%.4f"), f.rate(), f.norm(), f.speed("tok/s")}, false)
	if want := "epoch 2/3  loss NaN  lr 0.0e+00  grad_norm +Inf  +Inf tok/s"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	for _, test := range []struct {
		epoch float64
		of    int
		want  string
	}{{0, 3, "epoch 1/3"}, {0.5, 3, "epoch 1/3"}, {1, 3, "epoch 1/3"}, {1.01, 3, "epoch 2/3"}, {3, 3, "epoch 3/3"}, {3.2, 3, "epoch 3/3"}, {7.5, 0, "epoch 8"}} {
		if got := (figures{"epoch": test.epoch}).epoch(test.of).text(); got != test.want {
			t.Errorf("%v of %d: got %s, want %s", test.epoch, test.of, got, test.want)
		}
	}
	for x, want := range map[float64]string{12.1618: "12.16", 67.583: "67.58", 999.96: "1000", 51230.4: "51,230", 3.14e8: "3.1e+08", math.Inf(1): "+Inf"} {
		if got := shortFloat(x); got != want {
			t.Errorf("%v: got %s, want %s", x, got, want)
		}
	}
	for x, want := range map[float64]string{0: "0.00", 0.005: "5.0e-03", 0.913: "0.91", 12.5: "12.50"} {
		if got := (figures{"grad_norm": x}).norm().value; got != want {
			t.Errorf("%v: got %s, want %s", x, got, want)
		}
	}
}

func TestPaceJudgesByTheLastMinutes(t *testing.T) {
	var p pace
	if _, known := p.left(at, 100); known {
		t.Error("time left known before anything was done")
	}
	now := at
	p.add(now, 0)
	for done := int64(1); done <= 100; done++ { // one a second, for 100 s
		now = now.Add(time.Second)
		p.add(now, done)
	}
	if left, known := p.left(now, 200); !known || left.Round(time.Second) != 100*time.Second {
		t.Errorf("%v left, want 100s", left)
	}
	if left, _ := p.left(now.Add(30*time.Second), 200); left.Round(time.Second) != 70*time.Second {
		t.Errorf("%v left after waiting 30s, want 70s", left)
	}
	if left, _ := p.left(now.Add(time.Hour), 200); left != 0 {
		t.Errorf("%v left, want none rather than less", left)
	}
	for done := int64(101); done <= 300; done++ { // then one in ten seconds, for 2000 s
		now = now.Add(10 * time.Second)
		p.add(now, done)
	}
	if left, _ := p.left(now, 400); left.Round(10*time.Second) != 1000*time.Second {
		t.Errorf("%v left, want 1000s: the fast beginning no longer counts", left)
	}
	if len(p.samples) > paceSamples+2 {
		t.Errorf("%d samples kept", len(p.samples))
	}
	if _, known := p.left(now, 300); known {
		t.Error("time left when all is done")
	}
	if _, known := p.left(now, 0); known {
		t.Error("time left to an unknown end")
	}
}
