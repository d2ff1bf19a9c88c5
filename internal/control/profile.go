package control

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

const profileSuffix = ".profile"

// SetProfile writes down, in dir, which profile the instance name runs, for as
// long as what it does stands: until ForgetProfile, and so also after a crash.
func SetProfile(dir, name, profile string) error {
	if profile == "" {
		return ForgetProfile(dir, name)
	}
	err := os.WriteFile(filepath.Join(dir, name+profileSuffix), []byte(profile+"\n"), 0o600)
	if err != nil {
		return fmt.Errorf("control: %w", err)
	}
	return nil
}

// ForgetProfile undoes SetProfile. It is idempotent.
func ForgetProfile(dir, name string) error {
	err := os.Remove(filepath.Join(dir, name+profileSuffix))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("control: %w", err)
	}
	return nil
}

// OfProfile returns the names of the instances in dir that run a profile, or did
// when they crashed.
func OfProfile(dir, profile string) []string {
	paths, _ := filepath.Glob(filepath.Join(dir, "*"+profileSuffix)) // only a bad pattern fails
	var names []string
	for _, p := range paths {
		if text, err := os.ReadFile(p); err == nil && strings.TrimSpace(string(text)) == profile {
			names = append(names, strings.TrimSuffix(filepath.Base(p), profileSuffix))
		}
	}
	return names
}
