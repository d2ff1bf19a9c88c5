package netlab

import (
	"fmt"
	"os/exec"
	"path"
	"path/filepath"
)

// WireGuardGo is the package path of wireguard-go's program, for Build.
const WireGuardGo = "golang.zx2c4.com/wireguard"

// Build compiles the program of package pkg into dir, with the versions of this
// module and the flags given, and returns its path.
func Build(dir, pkg string, flags ...string) (string, error) {
	out := filepath.Join(dir, path.Base(pkg))
	args := append([]string{"build", "-o", out}, flags...)
	if b, err := exec.Command("go", append(args, pkg)...).CombinedOutput(); err != nil {
		return "", fmt.Errorf("netlab: build %s: %w\n%s", pkg, err, b)
	}
	return out, nil
}
