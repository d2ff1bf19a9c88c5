//go:build !unix

package sock

import (
	"fmt"
	"io/fs"
	"net"
	"runtime"
)

// Clean does nothing.
func Clean(string) error { return nil }

// Listen fails: a socket's peers cannot be checked here.
func Listen(string, fs.FileMode, string) (net.Listener, error) {
	return nil, fmt.Errorf("sock: not supported on %s yet", runtime.GOOS)
}
