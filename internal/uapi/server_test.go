//go:build unix

package uapi

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

const answer = "private_key=0102\nlisten_port=51820\n"

// A device answers with what it holds.
type device struct {
	get error // with which Get fails half-way
	set error
	was *string // that Set was given
}

func (d device) Get(w io.Writer) error {
	if d.get != nil {
		fmt.Fprintln(w, "private_key=01")
		return d.get
	}
	_, err := io.WriteString(w, answer)
	return err
}

func (d device) Set(_ context.Context, lines io.Reader) error {
	text, err := io.ReadAll(lines)
	if err != nil {
		return err
	}
	if d.was != nil {
		*d.was += string(text)
	}
	return d.set
}

// A refusal is an error with an errno.
type refusal int64

func (r refusal) Error() string    { return fmt.Sprint("errno ", int64(r)) }
func (r refusal) ErrorCode() int64 { return int64(r) }

// start serves a device in a directory of the test's own and returns the socket.
func start(t *testing.T, dev Device) (path string, s *Server) {
	t.Helper()
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	s, err := Listen(dir, "mh0.exit", dev, nil)
	if err != nil {
		t.Fatal(err)
	}
	var served sync.WaitGroup
	served.Go(s.Serve)
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
		served.Wait()
		goleak.VerifyNone(t)
	})
	return filepath.Join(dir, "mh0.exit.sock"), s
}

func TestOperations(t *testing.T) {
	var was string
	const port = "listen_port=1\n"
	tests := []struct {
		name, send, want string
		dev              device
		set              string // that the device was given
	}{
		{"get", "get=1\n\n", answer + "errno=0\n\n", device{}, ""},
		{"get twice", "get=1\n\nget=1\n\n", strings.Repeat(answer+"errno=0\n\n", 2), device{}, ""},
		{"get with more", "get=1\nx", "errno=-22\n\n", device{}, ""},
		{"get fails half-way", "get=1\n\n", "errno=-5\n\n", device{get: errors.New("device is closed")}, ""},
		{"set", "set=1\n" + port + port + "\n", "errno=0\n\n", device{was: &was}, port + port},
		{"set, then get", "set=1\nfwmark=1\n\nget=1\n\n", "errno=0\n\n" + answer + "errno=0\n\n", device{was: &was}, "fwmark=1\n"},
		{"set of nothing", "set=1\n\n", "errno=0\n\n", device{was: &was}, ""},
		{"set that is refused", "set=1\n" + port + "\n", "errno=-1\n\n", device{set: fmt.Errorf("hop exit: %w", refusal(-1))}, ""},
		{"set that fails", "set=1\n" + port + "\n", "errno=-5\n\n", device{set: errors.New("no reason")}, ""},
		{"half a set", "set=1\n" + port, "", device{was: &was}, ""},
		{"unknown", "reset=1\n\n", "", device{}, ""},
		{"endless line", strings.Repeat("x", 10000), "", device{}, ""},
		{"endless line of a set", "set=1\n" + strings.Repeat("x", 10000) + "\n\n", "", device{was: &was}, ""},
		{"set without end", "set=1\n" + strings.Repeat("fwmark=1\n", maxSet/9+1), "", device{was: &was}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			was = ""
			path, _ := start(t, tt.dev)
			c, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: path, Net: "unix"})
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			_ = c.SetDeadline(time.Now().Add(3 * time.Second))
			_, _ = io.WriteString(c, tt.send) // refused half-way where the server hangs up
			_ = c.CloseWrite()
			got, err := io.ReadAll(c)
			if tt.want != "" && err != nil {
				t.Fatal(err)
			}
			if string(got) != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
			if was != tt.set {
				t.Errorf("the device was given %q, want %q", was, tt.set)
			}
		})
	}
}

// A patient device's Set lasts as long as its server.
type patient struct{ device }

func (patient) Set(ctx context.Context, _ io.Reader) error {
	<-ctx.Done()
	return ctx.Err()
}

// TestCloseEndsSet: Close does not wait for a set that waits for something.
func TestCloseEndsSet(t *testing.T) {
	path, s := start(t, patient{})
	c, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := io.WriteString(c, "set=1\nfwmark=1\n\n"); err != nil {
		t.Fatal(err)
	}
	time.Sleep(20 * time.Millisecond) // Set has begun, most likely
	began := time.Now()
	s.Close()
	if d := time.Since(began); d > time.Second {
		t.Errorf("Close took %v", d)
	}
}

func TestCloseEndsConnections(t *testing.T) {
	path, s := start(t, device{})
	c, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := io.WriteString(c, "get=1\n\n"); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(c, make([]byte, len(answer))); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	s.Close()
	s.Close()
	if d := time.Since(began); d > time.Second {
		t.Errorf("Close took %v with an idle client", d)
	}
	if _, err := os.Lstat(path); !os.IsNotExist(err) {
		t.Errorf("the socket is still there: %v", err)
	}
}

// The real tool must understand the answers, and what it prints is what users
// see. It shows the first 15 bytes of a longer name, and finds it by all of it;
// "set" finds names of 15 bytes only.
func TestWg(t *testing.T) {
	wg, err := exec.LookPath("wg")
	if err != nil {
		t.Skip("needs wg (Debian package wireguard-tools)")
	}
	if os.Geteuid() != 0 {
		t.Skip("needs root, for a socket in " + Dir)
	}
	tests := []struct {
		hop string
		err error
		set string // wg's words
	}{
		{"exit", nil, ""},
		{"exit", refusal(-1), "Operation not permitted"},
		{"exit", refusal(-98), "Address already in use"},
		{"provider-exit_1.2" + strings.Repeat("x", 47), nil, "Unable to modify interface"}, // 64 bytes
	}
	for _, tt := range tests {
		t.Run(fmt.Sprint(tt.hop, tt.err), func(t *testing.T) {
			iface := Name(fmt.Sprintf("t%d", os.Getpid()), tt.hop)
			var was string
			serveFor(t, iface, device{set: tt.err, was: &was})
			out, err := exec.Command(wg, "show", iface).CombinedOutput()
			if err != nil {
				t.Fatalf("wg show: %v: %s", err, out)
			}
			for _, want := range []string{
				"interface: " + iface[:min(len(iface), 15)], "listening port: 4242",
				"endpoint: 192.0.2.1:51820", "transfer: 1.00 KiB received, 2.00 KiB sent",
			} {
				if !strings.Contains(string(out), want) {
					t.Errorf("wg show lacks %q:\n%s", want, out)
				}
			}
			out, err = exec.Command(wg, "set", iface, "listen-port", "1").CombinedOutput()
			if (err == nil) != (tt.set == "") || !strings.Contains(string(out), tt.set) {
				t.Errorf("wg set: %v: %s, want %q", err, out, tt.set)
			}
			if tt.set == "" && was != "listen_port=1\n" {
				t.Errorf("the device was given %q", was)
			}
		})
	}
}

// wgDevice answers as a device with one peer.
type wgDevice struct{ device }

func (wgDevice) Get(w io.Writer) error {
	_, err := io.WriteString(w, "private_key="+strings.Repeat("0a", 32)+"\nlisten_port=4242\n"+
		"public_key="+strings.Repeat("0b", 32)+"\nendpoint=192.0.2.1:51820\nallowed_ip=10.0.0.0/8\n"+
		"rx_bytes=1024\ntx_bytes=2048\n")
	return err
}

// serveFor serves a device with one peer where wg looks for it.
func serveFor(t *testing.T, iface string, d device) {
	t.Helper()
	s, err := Listen(Dir, iface, wgDevice{d}, nil)
	if err != nil {
		t.Fatal(err)
	}
	var served sync.WaitGroup
	served.Go(s.Serve)
	t.Cleanup(func() {
		s.Close()
		served.Wait()
	})
}

// FuzzConverse: whatever a client sends, each answer is a whole one, and a
// refused one holds nothing of the device.
func FuzzConverse(f *testing.F) {
	for _, seed := range []string{"get=1\n\n", "get=1\nx", "set=1\nlisten_port=1\n\nget=1\n\n", "set=1\n", "\n\n", "get=1"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, sent []byte) {
		client, server := net.Pipe()
		s := &Server{dev: device{set: refusal(-1)}, log: slog.New(slog.DiscardHandler), life: t.Context()}
		var parties sync.WaitGroup
		parties.Go(func() {
			s.converse(server)
			server.Close()
		})
		var got bytes.Buffer
		parties.Go(func() { _, _ = io.Copy(&got, client) })
		_, _ = client.Write(sent)
		_ = client.SetWriteDeadline(time.Now())
		// A converse that waits for more ends with the client, as one that hung up does.
		time.AfterFunc(time.Millisecond, func() { client.Close() })
		parties.Wait()
		rest := got.String()
		for _, whole := range []string{answer + "errno=0\n\n", "errno=-1\n\n", "errno=-22\n\n"} {
			rest = strings.ReplaceAll(rest, whole, "")
		}
		if rest != "" && !strings.HasPrefix(answer+"errno=0\n\n", rest) { // cut off by the client's end
			t.Errorf("%q was answered with %q", sent, got.String())
		}
	})
}
