package netlab

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestWaitTurn(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	const limit = 100 * time.Millisecond
	first, err := waitTurn(path, limit)
	if err != nil {
		t.Fatal(err)
	}
	release, err := waitTurn(path, limit)
	if !errors.Is(err, errBusy) {
		t.Errorf("a second turn beside the first: error %v, want %v", err, errBusy)
	}
	release() // nothing

	came := make(chan error)
	go func() {
		release, err := waitTurn(path, 0)
		release()
		came <- err
	}()
	select {
	case err := <-came:
		t.Fatalf("a turn beside the first one, error %v", err)
	case <-time.After(limit):
	}
	first()
	select {
	case err := <-came:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(5 * time.Second):
		t.Fatal("the turn did not come")
	}
}

func TestWaitTurnWithoutLock(t *testing.T) {
	dir := t.TempDir()
	link := filepath.Join(dir, "link")
	if err := os.Symlink(filepath.Join(dir, "target"), link); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{link, filepath.Join(dir, "no", "folder")} {
		release, err := waitTurn(path, 0)
		if err == nil {
			t.Errorf("%s: locked", path)
		}
		release()
	}
	if _, err := os.Lstat(filepath.Join(dir, "target")); err == nil {
		t.Error("a link was followed")
	}
}
