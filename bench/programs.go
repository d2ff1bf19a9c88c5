package main

import (
	"fmt"
	"os/exec"
	"path/filepath"

	"multihop/internal/e2e"
	"multihop/internal/netlab"
)

// buildPrograms compiles multihop and wireguard-go into dir, with the versions
// of the module at root.
func buildPrograms(root, dir string) (*e2e.Programs, error) {
	p := &e2e.Programs{Multihop: filepath.Join(dir, "multihop"), WireGuardGo: filepath.Join(dir, "wireguard-go")}
	for out, pkg := range map[string]string{p.Multihop: "./cmd/multihop", p.WireGuardGo: netlab.WireGuardGo} {
		if b, err := exec.Command("go", "build", "-C", root, "-o", out, pkg).CombinedOutput(); err != nil {
			return nil, fmt.Errorf("build %s: %w\n%s", pkg, err, b)
		}
	}
	return p, nil
}
