package resolv

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

// patience is how long resolvconf may take: it restarts services.
const patience = 30 * time.Second

// program returns the path of resolvconf; "": there is none.
func (y *System) program() string {
	if y.Resolvconf != "" || y.Root != "" {
		return y.Resolvconf
	}
	for _, name := range []string{"resolvconf", "/sbin/resolvconf", "/usr/sbin/resolvconf"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	return ""
}

// prefix goes before the TUN's name in a record's name, so that Debian's
// resolvconf puts it before the records of other links: the first pattern of
// its interface-order, as wg-quick does.
func (y *System) prefix() string {
	f, err := os.Open(y.path("/etc/resolvconf/interface-order"))
	if err != nil {
		return ""
	}
	defer func() { _ = f.Close() }()
	pattern := regexp.MustCompile(`^([A-Za-z0-9-]+)\*$`)
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if m := pattern.FindStringSubmatch(lines.Text()); m != nil {
			return m[1] + "."
		}
	}
	return ""
}

// addRecord gives resolvconf the settings of r, and makes sure that they reach
// resolv.conf. It returns the resolvers that are listed there besides.
func (y *System) addRecord(ctx context.Context, r Record) (others []netip.Addr, err error) {
	if err := y.resolvconf(ctx, r.body(), "-a", r.Resolvconf, "-m", "0", "-x"); err != nil {
		return nil, err
	}
	now, err := y.read()
	if err != nil {
		return nil, err
	}
	if r.File == nil && !y.lists(now, r.Settings) {
		return nil, fmt.Errorf("resolv: resolvconf has taken the resolvers %s, but %s does not list them", join(r.Servers, ", "), resolvConf)
	}
	for _, a := range nameservers(now.Content) {
		if !isLocal(a) && !slices.Contains(r.Servers, a) {
			others = append(others, a)
		}
	}
	return others, nil
}

// deleteRecord takes the record of r away. Both programs take it well if there
// is none.
func (y *System) deleteRecord(ctx context.Context, r Record) error {
	return y.resolvconf(ctx, "", "-d", r.Resolvconf, "-f")
}

// resolvconf runs the program.
func (y *System) resolvconf(ctx context.Context, stdin string, args ...string) error {
	path := y.program()
	if path == "" {
		return errors.New("resolv: the program resolvconf is gone")
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Stdin = strings.NewReader(stdin)
	cmd.WaitDelay = time.Second // a service that it starts may keep the pipe
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Run(); err != nil && !errors.Is(err, exec.ErrWaitDelay) {
		text := strings.Join(strings.Fields(said.String()), " ")
		return fmt.Errorf("resolv: %s %s: %w: %s", path, strings.Join(args, " "), err, text[:min(len(text), 200)])
	}
	return nil
}

// records are the resolvers that others have given to resolvconf: the folder is
// openresolv's, or Debian's.
func (y *System) records(own string) []netip.Addr {
	var list []netip.Addr
	for _, dir := range []string{"/run/resolvconf/interfaces", "/run/resolvconf/interface"} {
		files, err := os.ReadDir(y.path(dir))
		if err != nil {
			continue
		}
		for _, f := range files {
			if file, err := readAll(filepath.Join(y.path(dir), f.Name())); err == nil && f.Name() != own {
				for _, a := range nameservers(file) {
					list = add(list, a)
				}
			}
		}
	}
	return list
}
