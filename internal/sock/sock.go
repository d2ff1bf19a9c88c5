package sock

import (
	"errors"
	"io/fs"
)

// ErrInUse is returned by Listen for a name on which somebody accepts
// connections.
var ErrInUse = errors.New("socket in use")

// Socket file permissions: the directory of a private socket, and of one whose
// folder others may list (as that of WireGuard's tools).
const (
	PrivateDir fs.FileMode = 0o700
	SharedDir  fs.FileMode = 0o755
)
