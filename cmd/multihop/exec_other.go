//go:build !linux

package main

import (
	"fmt"

	"multihop/internal/control"
	"multihop/internal/host"
)

func enter(control.Host, []string) error {
	return fmt.Errorf("exec: network namespaces: %w", host.ErrUnsupported)
}
