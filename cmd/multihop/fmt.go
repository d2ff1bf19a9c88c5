package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"multihop/conf"
)

func newFmtCommand() *cobra.Command {
	write := false
	cmd := &cobra.Command{
		Use:   "fmt PROFILE...",
		Short: "Print profiles in the canonical layout",
		Long: text(`
Print a profile in the canonical layout: comments, order and meaning stay. With
--write the file is replaced instead, if that changes it, and its name printed.`),
		Example: text(`
  multihop fmt office
  multihop fmt -w /etc/multihop/*.conf`),
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return fmt.Errorf("fmt: no profile: give its path, or its name in /etc/multihop")
			}
			return nil
		},
		ValidArgsFunction: completeFiles,
		RunE: func(cmd *cobra.Command, args []string) error {
			for _, arg := range args {
				if err := format(cmd, arg, write); err != nil {
					return err
				}
			}
			return nil
		},
	}
	cmd.Flags().BoolVarP(&write, "write", "w", false, "replace the file")
	return cmd
}

// format prints the profile that arg names in the canonical layout, or replaces
// it by that.
func format(cmd *cobra.Command, arg string, write bool) error {
	path, profile, err := conf.Find(arg)
	if err != nil {
		return err
	}
	if !profile {
		return fmt.Errorf("fmt: %s is no profile: it has no [Hop]", path)
	}
	before, info, err := readFile(path)
	if err != nil {
		return fmt.Errorf("fmt: %w", err)
	}
	var after bytes.Buffer
	if err := conf.Format(&after, path, bytes.NewReader(before)); err != nil {
		return err
	}
	if !write {
		_, err := cmd.OutOrStdout().Write(after.Bytes())
		return err
	}
	if bytes.Equal(before, after.Bytes()) {
		return nil
	}
	if err := replaceFile(path, info, after.Bytes()); err != nil {
		return fmt.Errorf("fmt: %w", err)
	}
	_, err = fmt.Fprintln(cmd.OutOrStdout(), path)
	return err
}

// readFile returns a file's text, and what is known of that very file.
func readFile(path string) (text []byte, info fs.FileInfo, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, nil, err
	}
	defer func() { _ = f.Close() }() // only read
	if info, err = f.Stat(); err != nil {
		return nil, nil, err
	}
	text, err = io.ReadAll(f)
	return text, info, err
}

// replaceFile replaces a file, of which info is known, at once. Its owner and mode
// stay, by which its hooks are trusted, or it does.
func replaceFile(path string, info fs.FileInfo, text []byte) error {
	path, err := filepath.EvalSymlinks(path) // a link stays one
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".fmt-")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(f.Name()) }() // unless it has another name by then
	_, err = f.Write(text)
	// In this order: another owner takes bits from the mode.
	if err = errors.Join(err, keepOwner(f, info), f.Chmod(info.Mode()), f.Close()); err != nil {
		return err
	}
	now, err := os.Stat(path)
	if err == nil && !os.SameFile(now, info) {
		err = fmt.Errorf("%s is another file than a moment ago", path)
	}
	if err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}
