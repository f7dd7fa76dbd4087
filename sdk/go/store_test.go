//go:build unix

package device

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// The state on disk: whenever the power fails, the former or the new one is there, whole.

func opened(t *testing.T, path string) *Store {
	t.Helper()
	store := must[*Store](t)(OpenStore(path))
	t.Cleanup(func() { _ = store.Close() })
	return store
}

// watch notes what is done in which order, and lets it fail at the given step.
func watch(t *testing.T, failAt int) *[]string {
	done := &[]string{}
	note := func(what string) error {
		*done = append(*done, what)
		if len(*done) == failAt {
			return errors.New("the power was cut")
		}
		return nil
	}
	t.Cleanup(func() { syncFile, rename = (*os.File).Sync, os.Rename })
	syncFile = func(file *os.File) error {
		about := must[os.FileInfo](t)(file.Stat())
		what := fmt.Sprintf("sync %s of %d", filepath.Base(file.Name()), about.Size())
		if about.IsDir() {
			what = "sync directory"
		}
		return errors.Join(note(what), file.Sync())
	}
	rename = func(from, to string) error {
		if err := note("rename to " + filepath.Base(to)); err != nil {
			return err
		}
		return os.Rename(from, to)
	}
	return done
}

func TestItIsSavedInAnOrderThatSurvivesACrash(t *testing.T) {
	store := opened(t, t.TempDir())
	done := watch(t, 0)
	if err := store.Save([]byte("whole")); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(*done, []string{"sync state.json.new of 5", "rename to state.json", "sync directory"}) {
		t.Error(*done)
	}
}

func TestACrashAtAnyStepLeavesAWholeState(t *testing.T) {
	for step, expected := range map[int]string{1: "former", 2: "former", 3: "next"} {
		path := t.TempDir()
		store := opened(t, path)
		if err := store.Save([]byte("former")); err != nil {
			t.Fatal(err)
		}
		watch(t, step)
		if err := store.Save([]byte("next")); err == nil {
			t.Error("the failure is not said")
		}
		syncFile, rename = (*os.File).Sync, os.Rename
		_ = store.Close()
		store = opened(t, path)
		if got := must[[]byte](t)(store.Load()); string(got) != expected {
			t.Errorf("step %d: %s", step, got)
		}
		// What a crash left beside it is in nobody's way.
		if err := store.Save([]byte("later")); err != nil {
			t.Error(err)
		}
	}
}

func TestOnlyItsOwnerReadsIt(t *testing.T) {
	defer syscall.Umask(syscall.Umask(0))
	path := filepath.Join(t.TempDir(), "a", "device")
	if err := opened(t, path).Save([]byte("secret")); err != nil {
		t.Fatal(err)
	}
	for name, mode := range map[string]os.FileMode{".": 0o700 | os.ModeDir, "state.json": 0o600, "lock": 0o600} {
		if about := must[os.FileInfo](t)(os.Stat(filepath.Join(path, name))); about.Mode() != mode {
			t.Errorf("%s: %v", name, about.Mode())
		}
	}
}

func TestALinkInThePlaceOfTheNextStateIsNotFollowed(t *testing.T) {
	path, elsewhere := t.TempDir(), filepath.Join(t.TempDir(), "elsewhere")
	if err := os.WriteFile(elsewhere, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(elsewhere, filepath.Join(path, nextFile)); err != nil {
		t.Fatal(err)
	}
	if err := opened(t, path).Save([]byte("secret")); err == nil {
		t.Error("it was followed")
	}
	if got := must[[]byte](t)(os.ReadFile(elsewhere)); len(got) > 0 {
		t.Errorf("%s", got)
	}
}

func TestOneHolderAtATime(t *testing.T) {
	path := t.TempDir()
	store := opened(t, path)
	if _, err := OpenStore(path); !errors.Is(err, ErrState) || !strings.Contains(err.Error(), "in use") {
		t.Error(err)
	}
	if err := errors.Join(store.Close(), store.Close()); err != nil {
		t.Error(err)
	}
	if err := store.Save(nil); !errors.Is(err, ErrState) {
		t.Error(err)
	}
	opened(t, path)
}

func TestADeviceGoesOnFromItsDirectory(t *testing.T) {
	h := found(t, Suite1, hourly)
	store := opened(t, t.TempDir())
	if saved := must[[]byte](t)(store.Load()); saved != nil {
		t.Error("it is not empty")
	}
	if err := store.Save(h.last()); err != nil {
		t.Fatal(err)
	}
	device := must[*Device](t)(Load(must[[]byte](t)(store.Load()), store.Save, nil))
	must[[]byte](t)(device.Seal([]byte("x"), nil))
	if s := must[*state](t)(parseState(must[[]byte](t)(store.Load()))); s.branches[DataPurpose].number != 1 {
		t.Error("the number is not on disk")
	}
}

func TestADamagedStateIsRefusedAndNotShown(t *testing.T) {
	right := string(golden(t))
	with := func(old, other string) string { return strings.Replace(right, old, other, 1) }
	number := func(other string) string { return with(`"number": 17`, other) }
	for _, wrong := range []string{
		"", "{}", "[]", "null", right[:len(right)-1], right + "\n", right[:len(right)/2],
		with("wardein-device-1", "wardein-device-2"), number(`"number": -1`), number(`"number": 17.0`), number(`"number": true`),
		number(`"number": 9223372036854775809`), number(`"number": 18446744073709551616`), with("   \"number\": 17,\n", ""), number("\"number\": 17,\n   \"number\": 17"),
		number(`"Number": 17`), with(`"proof"`, `"other"`), with(`"suite": 2`, `"suite": 3`), with(`"generation": 3`, `"generation": 0`),
		with(`"tenant": "klinik-nord"`, `"tenant": "Klinik"`), with(`"frontier": "`, `"frontier": "A`), with(`"proven": false`, `"proven": 0`),
		strings.Repeat("[", 100_000),
	} {
		if wrong == right {
			t.Fatal("nothing is changed")
		}
		if _, err := parseState([]byte(wrong)); !errors.Is(err, ErrState) || len(err.Error()) > 100 {
			t.Errorf("%v", err)
		}
	}
	if s := must[*state](t)(parseState([]byte(right))); !bytes.Equal(s.encode(), []byte(right)) {
		t.Error("it is not written as it was read")
	}
	store := opened(t, t.TempDir())
	if err := store.Save(make([]byte, maxState+1)); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Load(); !errors.Is(err, ErrState) {
		t.Error(err)
	}
}
