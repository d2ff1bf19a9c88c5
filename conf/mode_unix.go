//go:build unix

package conf

import (
	"fmt"
	"io/fs"
)

// checkMode refuses a regular file that group or others have any access to: it
// holds a private key.
func checkMode(path string, info fs.FileInfo) error {
	if mode := info.Mode(); mode.IsRegular() && mode.Perm()&0o077 != 0 {
		return fmt.Errorf("has a private key, but group or others may access it (mode %04o): run chmod 600 %s",
			mode.Perm(), shellQuote(path))
	}
	return nil
}

// checkWritable refuses a regular file that group or others may write to: it
// says where traffic goes.
func checkWritable(path string, info fs.FileInfo) error {
	if mode := info.Mode(); mode.IsRegular() && mode.Perm()&0o022 != 0 {
		return fmt.Errorf("group or others may write to it (mode %04o), and so change where traffic goes: run chmod go-w %s",
			mode.Perm(), shellQuote(path))
	}
	return nil
}
