package document

import (
	"os"
	"path/filepath"
	"testing"
)

func TestReplaceBetweenMarkers(t *testing.T) {
	m := MarkersOf("bench/race")
	got, err := m.Replace([]byte("above\n"+m.Begin+"old\n"+m.End+"below\n"), "new\n")
	if want := "above\n" + m.Begin + "new\n" + m.End + "below\n"; err != nil || string(got) != want {
		t.Errorf("got %q, %v, want %q", got, err, want)
	}
	for _, document := range []string{"", m.Begin, m.End + m.Begin, MarkersOf("bench/memory").Begin + m.End} {
		if _, err := m.Replace([]byte(document), "new\n"); err == nil {
			t.Errorf("%q was taken", document)
		}
	}
}

func TestAFileWithoutMarkersStaysAsItIs(t *testing.T) {
	file := filepath.Join(t.TempDir(), "page.md")
	if err := os.WriteFile(file, []byte("nothing here\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	if err := MarkersOf("bench/memory").Write(file, "new\n"); err == nil {
		t.Error("no error")
	}
	if is, _ := os.ReadFile(file); string(is) != "nothing here\n" {
		t.Errorf("got %q", is)
	}
}
