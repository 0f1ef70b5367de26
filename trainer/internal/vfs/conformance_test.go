// One table of behaviours for every file system: what os does on Linux is the reference.

package vfs

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"pgregory.net/rapid"
)

// disks are the file systems that must behave alike, each with an empty directory to work in.
func disks(t *testing.T) map[string]func(t *testing.T) (FS, string) {
	none := func(Op) error { return nil }
	inMemory := func(wrap func(FS) FS) func(t *testing.T) (FS, string) {
		return func(t *testing.T) (FS, string) {
			m := NewMem()
			if err := m.Mkdir("/work", 0o777); err != nil {
				t.Fatal(err)
			}
			return wrap(m), "/work"
		}
	}
	return map[string]func(t *testing.T) (FS, string){
		"OS":         func(t *testing.T) (FS, string) { return OS, t.TempDir() },
		"Mem":        inMemory(func(m FS) FS { return m }),
		"Fault(Mem)": inMemory(func(m FS) FS { return Fault(m, none) }),
		"Fault(OS)":  func(t *testing.T) (FS, string) { return Fault(OS, none), t.TempDir() },
		"DiskFull":   inMemory(func(m FS) FS { return DiskFull(m, 1<<20) }),
	}
}

// disk is a file system and a directory, with steps that end the test where they fail.
type disk struct {
	*testing.T
	FS
	dir string
}

func (d disk) at(name string) string { return filepath.Join(d.dir, name) }

func (d disk) write(name, text string) {
	d.Helper()
	d.must(WriteFile(d, d.at(name), []byte(text)))
}

func (d disk) must(err error) {
	d.Helper()
	if err != nil {
		d.Fatal(err)
	}
}

func (d disk) contains(name, want string) {
	d.Helper()
	got, err := ReadFile(d, d.at(name))
	if err != nil || string(got) != want {
		d.Errorf("%s: got %q, %v; want %q", name, got, err, want)
	}
}

// fails checks the errno and that the error names the path.
func (d disk) fails(err error, want error) {
	d.Helper()
	if !errors.Is(err, want) {
		d.Errorf("got %v, want %v", err, want)
		return
	}
	var pathError *fs.PathError
	var linkError *os.LinkError
	if !errors.As(err, &pathError) && !errors.As(err, &linkError) {
		d.Errorf("%v is a %T", err, err)
	} else if !strings.Contains(err.Error(), d.dir) {
		d.Errorf("%v does not name the path", err)
	}
}

func (d disk) list(name string) string {
	d.Helper()
	entries, err := d.ReadDir(d.at(name))
	d.must(err)
	var names []string
	for _, e := range entries {
		suffix := ""
		if e.IsDir() {
			suffix = "/"
		}
		names = append(names, e.Name()+suffix)
	}
	return strings.Join(names, " ")
}

func (d disk) equal(got, want any) {
	d.Helper()
	if fmt.Sprint(got) != fmt.Sprint(want) {
		d.Errorf("got %v, want %v", got, want)
	}
}

func (d disk) open(name string, flag int) File {
	d.Helper()
	f, err := d.OpenFile(d.at(name), flag, 0o644)
	d.must(err)
	d.Cleanup(func() { f.Close() })
	return f
}

var conformance = map[string]func(d disk){
	"what was written is read": func(d disk) {
		d.write("a", "hello")
		d.contains("a", "hello")
		info, err := d.Stat(d.at("a"))
		d.must(err)
		d.equal([]any{info.Name(), info.Size(), info.IsDir(), info.Mode().IsRegular()}, []any{"a", 5, false, true})
	},
	"missing names": func(d disk) {
		_, err := d.Open(d.at("a"))
		d.fails(err, fs.ErrNotExist)
		_, err = d.Stat(d.at("a"))
		d.fails(err, fs.ErrNotExist)
		_, err = d.ReadDir(d.at("a"))
		d.fails(err, fs.ErrNotExist)
		_, err = d.Map(d.at("a"))
		d.fails(err, fs.ErrNotExist)
		_, err = d.Create(d.at("a/b"))
		d.fails(err, fs.ErrNotExist)
		d.fails(d.Remove(d.at("a")), fs.ErrNotExist)
		d.fails(d.Mkdir(d.at("a/b"), 0o777), fs.ErrNotExist)
		d.fails(d.Rename(d.at("a"), d.at("b")), fs.ErrNotExist)
		d.fails(d.SyncDir(d.at("a")), fs.ErrNotExist)
		d.must(d.RemoveAll(d.at("a")))
		d.must(d.RemoveAll(d.at("a/b")))
	},
	"a file in the place of a directory": func(d disk) {
		d.write("a", "")
		_, err := d.Open(d.at("a/b"))
		d.fails(err, syscall.ENOTDIR)
		_, err = d.Create(d.at("a/b"))
		d.fails(err, syscall.ENOTDIR)
		_, err = d.ReadDir(d.at("a"))
		d.fails(err, syscall.ENOTDIR)
		d.fails(d.Mkdir(d.at("a/b"), 0o777), syscall.ENOTDIR)
		d.fails(d.MkdirAll(d.at("a"), 0o777), syscall.ENOTDIR)
		d.fails(d.MkdirAll(d.at("a/b/c"), 0o777), syscall.ENOTDIR)
		d.fails(d.SyncDir(d.at("a")), syscall.ENOTDIR)
	},
	"a directory in the place of a file": func(d disk) {
		d.must(d.Mkdir(d.at("a"), 0o777))
		_, err := d.Create(d.at("a"))
		d.fails(err, syscall.EISDIR)
		_, err = ReadFile(d, d.at("a"))
		d.fails(err, syscall.EISDIR)
		_, err = d.Map(d.at("a"))
		d.fails(err, syscall.ENODEV)
	},
	"O_EXCL refuses what is there": func(d disk) {
		d.write("a", "")
		_, err := d.OpenFile(d.at("a"), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
		d.fails(err, fs.ErrExist)
		d.open("b", os.O_WRONLY|os.O_CREATE|os.O_EXCL)
		d.equal(d.list("."), "a b")
	},
	"O_APPEND writes at the end, wherever the position": func(d disk) {
		d.write("a", "one")
		f := d.open("a", os.O_RDWR|os.O_APPEND)
		_, err := f.Seek(0, io.SeekStart)
		d.must(err)
		_, err = f.Write([]byte("two"))
		d.must(err)
		d.contains("a", "onetwo")
	},
	"O_TRUNC empties": func(d disk) {
		d.write("a", "one")
		d.open("a", os.O_WRONLY|os.O_TRUNC)
		d.contains("a", "")
	},
	"overwriting in the middle": func(d disk) {
		d.write("a", "abcdef")
		f := d.open("a", os.O_RDWR)
		_, err := f.Seek(-4, io.SeekEnd)
		d.must(err)
		_, err = f.Write([]byte("XY"))
		d.must(err)
		at, err := f.Seek(0, io.SeekCurrent)
		d.must(err)
		d.equal(at, 4)
		d.contains("a", "abXYef")
	},
	"a gap reads as zeros": func(d disk) {
		f := d.open("a", os.O_RDWR|os.O_CREATE)
		_, err := f.Seek(3, io.SeekStart)
		d.must(err)
		_, err = f.Write([]byte("x"))
		d.must(err)
		d.contains("a", "\x00\x00\x00x")
		d.must(f.Truncate(2))
		d.must(f.Truncate(4))
		d.contains("a", "\x00\x00\x00\x00")
		d.fails(f.Truncate(-1), syscall.EINVAL)
		_, err = f.Seek(-1, io.SeekStart)
		d.fails(err, syscall.EINVAL)
	},
	"ReadAt": func(d disk) {
		d.write("a", "abcdef")
		f := d.open("a", os.O_RDONLY)
		b := make([]byte, 4)
		n, err := f.ReadAt(b, 1)
		d.equal([]any{string(b[:n]), err}, []any{"bcde", nil})
		n, err = f.ReadAt(b, 4)
		d.equal([]any{string(b[:n]), err}, []any{"ef", io.EOF})
		n, err = f.ReadAt(b, 9)
		d.equal([]any{n, err}, []any{0, io.EOF})
	},
	"the open mode is kept": func(d disk) {
		d.write("a", "x")
		_, err := d.open("a", os.O_RDONLY).Write([]byte("y"))
		d.fails(err, syscall.EBADF)
		d.fails(d.open("a", os.O_RDONLY).Truncate(0), syscall.EINVAL)
		_, err = d.open("a", os.O_WRONLY).Read(make([]byte, 1))
		d.fails(err, syscall.EBADF)
		d.contains("a", "x")
	},
	"a closed file": func(d disk) {
		f, err := d.Create(d.at("a"))
		d.must(err)
		d.must(f.Close())
		_, err = f.Write([]byte("x"))
		d.fails(err, fs.ErrClosed)
		_, err = f.Read(make([]byte, 1))
		d.fails(err, fs.ErrClosed)
		d.fails(f.Sync(), fs.ErrClosed)
		d.fails(f.Close(), fs.ErrClosed)
	},
	"an open file outlives its name": func(d disk) {
		d.write("a", "one")
		f := d.open("a", os.O_RDWR|os.O_APPEND)
		d.must(d.Rename(d.at("a"), d.at("b")))
		_, err := f.Write([]byte("two"))
		d.must(err)
		d.contains("b", "onetwo")
		d.must(d.Remove(d.at("b")))
		_, err = f.Write([]byte("three"))
		d.must(err)
		info, err := f.Stat()
		d.must(err)
		d.equal(info.Size(), 11)
		d.equal(d.list("."), "")
	},
	"rename replaces a file": func(d disk) {
		d.write("a", "new")
		d.write("b", "old")
		old := d.open("b", os.O_RDONLY)
		d.must(d.Rename(d.at("a"), d.at("b")))
		d.contains("b", "new")
		d.equal(d.list("."), "b")
		kept, err := io.ReadAll(old)
		d.equal([]any{string(kept), err}, []any{"old", nil})
	},
	"rename moves a directory with what is in it": func(d disk) {
		d.must(d.MkdirAll(d.at("a/b"), 0o777))
		d.must(d.Mkdir(d.at("c"), 0o777))
		d.write("a/b/f", "x")
		d.must(d.Rename(d.at("a/b"), d.at("c/d")))
		d.contains("c/d/f", "x")
		d.equal(d.list("a"), "")
	},
	"rename of a directory is refused": func(d disk) {
		d.must(d.Mkdir(d.at("a"), 0o777))
		d.must(d.Mkdir(d.at("b"), 0o777))
		d.write("f", "")
		d.fails(d.Rename(d.at("a"), d.at("b")), fs.ErrExist)
		d.fails(d.Rename(d.at("f"), d.at("b")), fs.ErrExist)
		d.fails(d.Rename(d.at("a"), d.at("f")), syscall.ENOTDIR)
		d.fails(d.Rename(d.at("a"), d.at("a/c")), syscall.EINVAL)
		d.equal(d.list("."), "a/ b/ f")
	},
	"mkdir": func(d disk) {
		d.must(d.Mkdir(d.at("a"), 0o777))
		d.fails(d.Mkdir(d.at("a"), 0o777), fs.ErrExist)
		d.must(d.MkdirAll(d.at("a"), 0o777))
		d.must(d.MkdirAll(d.at("a/b/c"), 0o777))
		d.equal(d.list("a/b"), "c/")
		info, err := d.Stat(d.at("a/b"))
		d.must(err)
		d.equal(info.IsDir(), true)
	},
	"remove": func(d disk) {
		d.must(d.MkdirAll(d.at("a/b"), 0o777))
		d.write("a/f", "")
		d.fails(d.Remove(d.at("a")), syscall.ENOTEMPTY)
		d.must(d.Remove(d.at("a/b")))
		d.must(d.Remove(d.at("a/f")))
		d.must(d.Remove(d.at("a")))
		d.equal(d.list("."), "")
	},
	"remove all": func(d disk) {
		d.must(d.MkdirAll(d.at("a/b/c"), 0o777))
		d.write("a/b/f", "")
		d.write("g", "")
		d.must(d.RemoveAll(d.at("a")))
		d.equal(d.list("."), "g")
		d.must(d.RemoveAll(d.at("g")))
		d.equal(d.list("."), "")
	},
	"a listing is sorted": func(d disk) {
		for _, name := range []string{"b", "a", "é", "B", "10", "9"} {
			d.write(name, "")
		}
		d.equal(d.list("."), "10 9 B a b é")
	},
	"sync": func(d disk) {
		d.write("a", "x")
		f := d.open("a", os.O_RDWR)
		d.must(f.Sync())
		d.must(d.SyncDir(d.dir))
	},
	"a lock is exclusive until closed": func(d disk) {
		first, err := d.Lock(d.at("lock"))
		d.must(err)
		_, err = d.Lock(d.at("lock"))
		d.fails(err, ErrLocked)
		other, err := d.Lock(d.at("other"))
		d.must(err)
		d.must(other.Close())
		d.must(first.Close())
		if first.Close() == nil {
			d.Error("closing a lock twice is no error")
		}
		again, err := d.Lock(d.at("lock"))
		d.must(err)
		d.must(again.Close())
	},
	"a mapping is the contents": func(d disk) {
		d.write("a", "mapped")
		d.write("empty", "")
		m, err := d.Map(d.at("a"))
		d.must(err)
		d.must(d.Remove(d.at("a")))
		d.equal(string(m.Bytes()), "mapped")
		d.must(m.Close())
		m, err = d.Map(d.at("empty"))
		d.must(err)
		d.equal(len(m.Bytes()), 0)
		d.must(m.Close())
	},
	"WriteFileAtomic replaces and leaves nothing beside": func(d disk) {
		d.must(WriteFileAtomic(d, d.at("a"), []byte("one")))
		d.must(WriteFileAtomic(d, d.at("a"), []byte("two")))
		d.contains("a", "two")
		d.equal(d.list("."), "a")
	},
}

func TestEveryDiskBehavesLikeTheOperatingSystems(t *testing.T) {
	for name, open := range disks(t) {
		t.Run(name, func(t *testing.T) {
			for behaviour, check := range conformance {
				t.Run(behaviour, func(t *testing.T) {
					fsys, dir := open(t)
					check(disk{T: t, FS: fsys, dir: dir})
				})
			}
		})
	}
}

// Steps drawn at random must succeed or fail alike on the memory disk and on the operating system's.
func TestMemFollowsTheOperatingSystemThroughAnySteps(t *testing.T) {
	round := 0
	top := t.TempDir()
	rapid.Check(t, func(t *rapid.T) {
		round++
		dir := filepath.Join(top, fmt.Sprint(round))
		m := NewMem()
		for _, fsys := range []FS{OS, m} {
			if err := fsys.MkdirAll(dir, 0o777); err != nil {
				t.Fatal(err)
			}
		}
		names := rapid.SampledFrom([]string{"a", "b", "a/b", "a/a", "b/a", "a/b/c", "b/a/a"})
		for range rapid.IntRange(1, 25).Draw(t, "steps") {
			name, to := filepath.Join(dir, names.Draw(t, "name")), filepath.Join(dir, names.Draw(t, "to"))
			flag := rapid.SampledFrom([]int{os.O_RDONLY, os.O_RDWR, os.O_WRONLY | os.O_CREATE, os.O_RDWR | os.O_CREATE | os.O_EXCL,
				os.O_WRONLY | os.O_APPEND, os.O_RDWR | os.O_CREATE | os.O_TRUNC}).Draw(t, "flag")
			offset := rapid.Int64Range(0, 6).Draw(t, "offset")
			step := rapid.SampledFrom([]string{"mkdir", "mkdirall", "rename", "remove", "removeall", "write", "truncate", "readdir", "sync"}).Draw(t, "step")
			do := func(fsys FS) (string, error) {
				switch step {
				case "mkdir":
					return "", fsys.Mkdir(name, 0o777)
				case "mkdirall":
					return "", fsys.MkdirAll(name, 0o777)
				case "rename":
					return "", fsys.Rename(name, to)
				case "remove":
					return "", fsys.Remove(name)
				case "removeall":
					return "", fsys.RemoveAll(name)
				case "readdir":
					return listing(fsys, name)
				case "sync":
					return "", fsys.SyncDir(name)
				}
				f, err := fsys.OpenFile(name, flag, 0o666)
				if err != nil {
					return "", err
				}
				defer f.Close()
				if step == "truncate" {
					return "", f.Truncate(offset)
				}
				if _, err := f.Seek(offset, io.SeekStart); err != nil {
					return "", err
				}
				_, err = f.Write([]byte(step))
				return "", err
			}
			wantList, want := do(OS)
			gotList, got := do(m)
			if errno(want) != errno(got) || wantList != gotList {
				t.Fatalf("%s %s %s: on OS %q, %v; on Mem %q, %v", step, name, to, wantList, want, gotList, got)
			}
			if got, want := contents(t, m, dir), contents(t, OS, dir); got != want {
				t.Fatalf("after %s %s %s: on OS %s, on Mem %s", step, name, to, want, got)
			}
		}
	})
}

// errno is the system's reason for an error, 0 for none.
func errno(err error) syscall.Errno {
	var number syscall.Errno
	if err != nil && !errors.As(err, &number) {
		return ^syscall.Errno(0) // some other error
	}
	return number
}

func listing(fsys FS, dir string) (string, error) {
	entries, err := fsys.ReadDir(dir)
	var names []string
	for _, e := range entries {
		names = append(names, fmt.Sprint(e.Name(), e.IsDir()))
	}
	return strings.Join(names, " "), err
}

// contents describes all that is below dir.
func contents(t *rapid.T, fsys FS, dir string) string {
	entries, err := fsys.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, e := range entries {
		if name := filepath.Join(dir, e.Name()); e.IsDir() {
			fmt.Fprintf(&b, "%s/(%s) ", e.Name(), contents(t, fsys, name))
		} else if text, err := ReadFile(fsys, name); err != nil {
			t.Fatal(err)
		} else {
			fmt.Fprintf(&b, "%s=%q ", e.Name(), text)
		}
	}
	return b.String()
}
