package control

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
)

// Names lists the instances that have a socket in dir, sorted. One that was
// killed is listed until its name is used again: asking it is ErrNotRunning.
func Names(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if errors.Is(err, fs.ErrPermission) {
		return nil, fmt.Errorf("%s: %w", dir, errNotAllowed)
	}
	if err != nil {
		return nil, fmt.Errorf("control: %w", err)
	}
	var names []string
	for _, e := range entries {
		if name, ok := strings.CutSuffix(e.Name(), suffix); ok && name != "" && e.Type() == fs.ModeSocket {
			names = append(names, name)
		}
	}
	return names, nil
}
