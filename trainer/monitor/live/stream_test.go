package live

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"frugal/trainer/monitor"
)

func TestAPageGetsWhatIsThereAndWhatComes(t *testing.T) {
	b := serve(t, "127.0.0.1:0")
	there := line("run", 0, `,"status":"started"`) + line("train", 10, `,"loss":"NaN"`)
	b.log(there)
	book, p := notebook{}, b.follow("", b.ownID())
	book.take(p.until("ready"))
	if book[b.ownID()] != there {
		t.Fatalf("got %q", book[b.ownID()])
	}
	for step := 20; step < 60; step += 10 {
		next := line("train", step, `,"text":"a\nb: ção\r"`)
		there += next
		b.log(next)
		book.take(p.until("lines"))
	}
	if book[b.ownID()] != there {
		t.Errorf("got %q, want %q", book[b.ownID()], there)
	}
}

func TestWriteWakesThePages(t *testing.T) {
	dir := t.TempDir()
	s, err := open(Options{Listen: "127.0.0.1:0", OutputDir: dir}, pace{time.Hour, time.Hour})
	b := newBench(t, s, err, dir)
	p := b.follow("", b.ownID())
	p.until("ready")
	for step := range 3 {
		b.log(line("train", step, ""))
		p.until("lines")
	}
}

func TestAQuietPageGetsSignsOfLife(t *testing.T) {
	dir := t.TempDir()
	s, err := open(Options{Listen: "127.0.0.1:0", OutputDir: dir}, pace{time.Hour, 10 * time.Millisecond})
	b := newBench(t, s, err, dir)
	p := b.follow("", b.ownID())
	for range 3 {
		p.until("beat")
	}
}

func TestARunWithoutLinesIsReadyAtOnce(t *testing.T) {
	b := serve(t, "127.0.0.1:0")
	p := b.follow("", b.ownID())
	if events := p.until("ready"); len(events) != 1 {
		t.Errorf("%v", events)
	}
	b.log(line("train", 1, ""))
	if e := p.until("lines")[0]; !strings.HasSuffix(e.data, strings.TrimSuffix(line("train", 1, ""), "\n")) {
		t.Errorf("%+v", e)
	}
}

func TestHalfALineWaitsForItsOtherHalf(t *testing.T) {
	b := serve(t, "127.0.0.1:0")
	first, second := line("train", 1, ""), line("train", 2, "")
	b.log(first + second[:15])
	book, p := notebook{}, b.follow("", b.ownID())
	book.take(p.until("ready"))
	if book[b.ownID()] != first {
		t.Errorf("got %q", book[b.ownID()])
	}
	b.log(second[15:])
	book.take(p.until("lines"))
	if book[b.ownID()] != first+second {
		t.Errorf("got %q", book[b.ownID()])
	}
}

func TestAfterABreakOnlyWhatIsMissingComes(t *testing.T) {
	b := serve(t, "127.0.0.1:0")
	id, other := b.ownID(), filepath.Join(filepath.Dir(b.dir), "other", metricsName)
	appendTo(t, other, line("train", 1, `,"other":1`))
	otherID := newShelf(osFS(), b.dir).list()[1].ID
	b.shelf.looked = b.shelf.looked.Add(-maxAge)
	var own, others strings.Builder
	others.WriteString(line("train", 1, `,"other":1`))
	book, lastID := notebook{}, ""
	for visit := range 5 {
		for i := range visit {
			next := line("train", 10*visit+i, "")
			own.WriteString(next)
			b.log(next)
			next = line("eval", 10*visit+i, `,"other":1`)
			others.WriteString(next)
			appendTo(t, other, next)
		}
		p := b.follow(lastID, id, otherID)
		events := p.until("ready")
		for _, e := range events {
			if strings.Contains(strings.SplitN(e.data, "\n", 2)[0], "reset") {
				t.Errorf("visit %d: a reset", visit)
			}
		}
		if last := book.take(events); last != "" {
			lastID = last
		}
		p.close()
	}
	if book[id] != own.String() || book[otherID] != others.String() {
		t.Errorf("got\n%s%s\nwant\n%s%s", book[id], book[otherID], own.String(), others.String())
	}
}

// A run that goes on from an earlier checkpoint cuts its lines, and may have written more than before when the page is back.
func TestAResumedRunsLinesReplaceTheOldOnes(t *testing.T) {
	for _, after := range []int{0, 1, 5, 50} {
		t.Run(fmt.Sprintf("%d lines later", after), func(t *testing.T) {
			b := serve(t, "127.0.0.1:0")
			var kept, lost, gained strings.Builder
			for step := range 10 {
				kept.WriteString(line("train", step, `,"loss":1`))
				lost.WriteString(line("train", 10+step, `,"loss":2`))
			}
			for step := range after {
				gained.WriteString(line("train", 10+step, `,"loss":3`))
			}
			b.log(kept.String() + lost.String())
			book, p := notebook{}, b.follow("", b.ownID())
			lastID := book.take(p.until("ready"))
			p.close()
			b.Close()

			path := filepath.Join(b.dir, metricsName)
			if err := os.Truncate(path, int64(kept.Len())); err != nil {
				t.Fatal(err)
			}
			appendTo(t, path, gained.String())
			again := serveDir(t, "127.0.0.1:0", b.dir)
			book.take(again.follow(lastID, again.ownID()).until("ready"))
			if want := kept.String() + gained.String(); book[b.ownID()] != want {
				t.Errorf("got\n%s\nwant\n%s", book[b.ownID()], want)
			}
		})
	}
}

func TestALookedAtRunThatStartsAnewIsNoticed(t *testing.T) {
	b := serve(t, "127.0.0.1:0")
	other := filepath.Join(filepath.Dir(b.dir), "other", metricsName)
	appendTo(t, other, line("train", 1, "")+line("train", 2, ""))
	id := b.shelf.list()[1].ID
	book, p := notebook{}, b.follow("", id)
	book.take(p.until("ready"))
	if err := os.Rename(other, other+".1"); err != nil {
		t.Fatal(err)
	}
	fresh := line("run", 0, `,"status":"started"`)
	appendTo(t, other, fresh)
	for book[id] != fresh {
		book.take(p.until("lines"))
	}
}

func TestTheLastLinesComeBeforeTheEnd(t *testing.T) {
	b := serve(t, "127.0.0.1:0")
	b.log(line("train", 1, ""))
	p := b.follow("", b.ownID())
	book := notebook{}
	book.take(p.until("ready"))
	last := line("train", 2, "") + line("run", 2, `,"status":"complete"`)
	b.log(last)
	b.Close()
	book.take(p.until("over"))
	if want := line("train", 1, "") + last; book[b.ownID()] != want {
		t.Errorf("got %q, want %q", book[b.ownID()], want)
	}
	if e, ok := <-p.events; ok {
		t.Errorf("%+v after the end", e)
	}
}

func BenchmarkWrite(b *testing.B) {
	s := &Server{grown: make(chan struct{})}
	for b.Loop() {
		if err := s.Write(monitor.Record{}); err != nil {
			b.Fatal(err)
		}
	}
}
