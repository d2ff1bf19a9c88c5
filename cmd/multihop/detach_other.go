//go:build !unix

package main

import (
	"fmt"
	"os"

	"multihop/internal/host"
)

// A child is a detached instance.
type child struct{}

func startDetached(*os.File) (*child, *os.File, error) {
	return nil, nil, fmt.Errorf("start detached: %w: use run", host.ErrUnsupported)
}

func (*child) interrupt()     {}
func (*child) wait() error    { return nil }
func (*child) release() error { return nil }

func parentPipe() (*os.File, error) { return nil, host.ErrUnsupported }
