package resolv

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// insideEnv names the test that a process runs inside its namespaces.
const insideEnv = "MULTIHOP_TEST_INSIDE"

// inside reports whether the test runs in mount, network and process namespaces
// of its own, where it may do to /etc, /run and /usr what it likes. If not, it
// runs the test there, in another process, whose verdict is the test's. The test
// needs the files of the Debian packages pkgs, see debian.
func inside(t *testing.T, pkgs ...string) bool {
	t.Helper()
	if os.Getenv(insideEnv) == t.Name() {
		return true
	}
	if os.Geteuid() != 0 {
		unable(t, "needs root, to make namespaces")
	}
	tool(t, "ip", "iproute2")
	for _, p := range pkgs {
		if deb(p) == "" {
			unable(t, "needs Debian package "+p+": apt-get download "+p+", with MULTIHOP_DEBS set to the folder")
		}
	}
	t.Parallel() // the processes do not know of each other
	cmd := exec.Command("/proc/self/exe", "-test.run=^"+t.Name()+"$", "-test.v", "-test.count=1", "-test.timeout=90s")
	cmd.Env = append(os.Environ(), insideEnv+"="+t.Name())
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:   syscall.CLONE_NEWPID, // whatever it starts ends with it
		Unshareflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWNET,
		Pdeathsig:    syscall.SIGKILL,
	}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if !strings.Contains(string(out), "--- PASS: "+t.Name()+" ") {
		t.Fatalf("the test did not run:\n%s", out)
	}
	return false
}

// unable skips the test, or fails it where every test must run.
func unable(t *testing.T, why string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatal(why)
	}
	t.Skip(why)
}

// tool returns the path of a program of the Debian package pkg.
func tool(t *testing.T, name, pkg string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		unable(t, "needs the program "+name+": install Debian package "+pkg)
	}
	return path
}

// deb returns the .deb file of a Debian package in the folder that MULTIHOP_DEBS
// names; "": there is none. The packages are not installed: they conflict, and
// take the machine's own resolv.conf.
func deb(pkg string) string {
	dir := os.Getenv("MULTIHOP_DEBS")
	if files, err := filepath.Glob(filepath.Join(dir, pkg+"_*.deb")); dir != "" && err == nil && len(files) > 0 {
		return files[len(files)-1]
	}
	return ""
}

// setup gives the process an empty /run, and an /etc and a /usr that it may
// write to, which have the files of Debian packages besides.
func setup(t *testing.T, pkgs ...string) {
	t.Helper()
	files := t.TempDir()
	for _, p := range pkgs {
		run(t, "dpkg-deb", "-x", deb(p), files)
	}
	mount(t, "tmpfs", "/run", "tmpfs", "")
	mount(t, "proc", "/proc", "proc", "") // of the new process namespace
	for _, dir := range []string{"etc", "usr"} {
		over := filepath.Join("/run/over", dir)
		upper, work := filepath.Join(over, "upper"), filepath.Join(over, "work")
		if err := os.MkdirAll(upper, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Mkdir(work, 0o755); err != nil {
			t.Fatal(err)
		}
		copyTree(t, filepath.Join(files, dir), upper)
		if dir == "usr" { // packages may be older than merged /usr
			copyTree(t, filepath.Join(files, "lib"), filepath.Join(upper, "lib"))
			copyTree(t, filepath.Join(files, "sbin"), filepath.Join(upper, "sbin"))
		}
		mount(t, "overlay", "/"+dir, "overlay", "lowerdir=/"+dir+",upperdir="+upper+",workdir="+work)
	}
	run(t, "ip", "link", "set", "lo", "up")
}

func mount(t *testing.T, source, target, fstype, data string) {
	t.Helper()
	if err := unix.Mount(source, target, fstype, 0, data); err != nil {
		t.Fatalf("mount %s: %v", target, err)
	}
}

// bind mounts a file on another.
func bind(t *testing.T, source, target string) {
	t.Helper()
	if err := unix.Mount(source, target, "", unix.MS_BIND, ""); err != nil {
		t.Fatalf("bind %s: %v", target, err)
	}
}

// copyTree copies a folder, if there is one, into another.
func copyTree(t *testing.T, from, to string) {
	t.Helper()
	if _, err := os.Stat(from); err != nil {
		return
	}
	if err := os.MkdirAll(to, 0o755); err != nil {
		t.Fatal(err)
	}
	run(t, "cp", "-a", from+"/.", to)
}

// run runs a program, and returns what it said.
func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

// start starts a program that ends with the test, or with stop.
func start(t *testing.T, name string, args ...string) (stop func()) {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	stopped := false
	stop = func() {
		if !stopped {
			stopped = true
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		}
	}
	t.Cleanup(stop)
	return stop
}

// wait waits until ok, for at most 10 s.
func wait(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("10 s later still not: %s", what)
		}
	}
}

// tree is every file below some folders, with its mode and content.
func tree(t *testing.T, roots ...string) string {
	t.Helper()
	var s strings.Builder
	for _, root := range roots {
		err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			info, err := d.Info()
			if err != nil {
				return err
			}
			var what string
			switch info.Mode().Type() {
			case fs.ModeSymlink:
				what, err = os.Readlink(path)
			case 0:
				var b []byte
				b, err = os.ReadFile(path)
				what = string(b)
			}
			fmt.Fprintf(&s, "%s %v %q\n", path, info.Mode(), what)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return s.String()
}

// real is this process's own system, once it is inside.
func real(t *testing.T) *host { return &host{System: &System{}, t: t} }
