package conf

import (
	"errors"
	"io"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestStrip(t *testing.T) {
	text := testInterface + "Address = 10.0.0.2\nDNS = 10.0.0.1\nMTU = 1400\nTable = off\nFwMark = 7\nListenPort = 51821\nPostUp = a\n" +
		testPeer + "PresharedKey = " + testPreshared + "\nEndpoint = vpn.example:51820\nAllowedIPs = 10.1.2.3/8,::/0\nPersistentKeepalive = 25\n[Peer]\nPublicKey = " + testPublic2 + "\n"
	want := "[Interface]\nPrivateKey = " + testPrivate + "\nListenPort = 51821\nFwMark = 0x7\n" +
		"\n[Peer]\nPublicKey = " + testPublic + "\nPresharedKey = " + testPreshared +
		"\nEndpoint = vpn.example:51820\nAllowedIPs = 10.0.0.0/8, ::/0\nPersistentKeepalive = 25\n" +
		"\n[Peer]\nPublicKey = " + testPublic2 + "\n"
	dir := folder(t, map[string]string{"a.conf": text, "b.conf": wg("b", "10.0.0.0/8")})
	one, err := LoadChain([]string{filepath.Join(dir, "a.conf")}, nil)
	if err != nil {
		t.Fatal(err)
	}
	two, err := LoadChain([]string{filepath.Join(dir, "a.conf"), filepath.Join(dir, "b.conf")}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name      string
		c         *Instance
		hop       string
		want, err string
	}{
		{"the only hop", one, "", want, ""},
		{"by name", two, "a", want, ""},
		{"a carried one has no mark", two, "b", "[Interface]\nPrivateKey = " + testPrivate +
			"\n\n[Peer]\nPublicKey = P\nEndpoint = 192.0.2.1:51820\nAllowedIPs = 10.0.0.0/8\n", ""},
		{"of several", two, "", "", "which hop? there are a, b"},
		{"unknown", two, "c", "", `no hop is named "c": there are a, b`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var b strings.Builder
			err := tt.c.Strip(&b, tt.hop)
			if tt.err != "" {
				if err == nil || err.Error() != tt.err {
					t.Errorf("got %v, want %s", err, tt.err)
				}
				return
			}
			got := b.String()
			if tt.hop == "b" {
				got = strings.Replace(got, tt.c.Config.Hops[1].Peers[0].PublicKey.Encode(), "P", 1)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" || err != nil {
				t.Errorf("%v (-want +got):\n%s", err, diff)
			}
			if _, err := Parse("again.conf", strings.NewReader(b.String())); err != nil {
				t.Errorf("is not read again: %v", err)
			}
		})
	}
	if err := one.Strip(failing{}, ""); !errors.Is(err, io.ErrShortWrite) {
		t.Errorf("a write that fails: %v", err)
	}
}

type failing struct{}

func (failing) Write([]byte) (int, error) { return 0, io.ErrShortWrite }
