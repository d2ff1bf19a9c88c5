package netlab

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// aloneLock is the file, in the temporary folder, that test processes lock.
const aloneLock = "multihop-netlab.lock"

// RunAlone runs the tests of m, for its TestMain, and returns their exit code.
// Meanwhile no other test process on the machine is inside RunAlone: `go test
// ./...` runs the packages beside each other, and those that keep every
// processor busy would starve one another.
//
// The clock of -timeout starts with the tests, but `go test` kills a process
// that has run a minute longer than that, waiting included. So the turn is
// waited for during three fifths of -timeout at most; then, and where there is
// no lock to be had, the tests run all the same.
func RunAlone(m *testing.M) int {
	if os.Geteuid() == 0 { // else they are skipped
		release, err := waitTurn(filepath.Join(os.TempDir(), aloneLock), patience())
		if err != nil {
			fmt.Fprintln(os.Stderr, err, "- runs beside other tests")
		}
		defer release()
	}
	return m.Run()
}

// patience is how long RunAlone waits; 0: for ever.
func patience() time.Duration {
	if !flag.Parsed() {
		flag.Parse()
	}
	if f := flag.Lookup("test.timeout"); f != nil {
		if limit, ok := f.Value.(flag.Getter).Get().(time.Duration); ok {
			return limit * 3 / 5
		}
	}
	return 0
}

// errBusy is the error of a turn that did not come.
var errBusy = errors.New("another test process has the lock")

// waitTurn locks the file at path, which it makes if need be, waiting for at
// most limit; 0: for ever. The lock ends with release, and with the process,
// however that ends. After an error there is none, and release does nothing.
func waitTurn(path string, limit time.Duration) (release func(), err error) {
	nothing := func() {}
	// The folder is everybody's: no link of somebody else's is followed.
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return nothing, fmt.Errorf("netlab: %w", err)
	}
	for start := time.Now(); ; time.Sleep(50 * time.Millisecond) {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		switch {
		case err == nil:
			return func() { _ = f.Close() }, nil
		case !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, unix.EINTR):
		case limit > 0 && time.Since(start) > limit:
			err = errBusy
		default:
			continue
		}
		_ = f.Close()
		return nothing, fmt.Errorf("netlab: lock %s: %w", path, err)
	}
}
