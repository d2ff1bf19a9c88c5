package conf

import (
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestFormat(t *testing.T) {
	for _, tt := range []struct{ name, in, want string }{
		{
			name: "as documented",
			in: "\n\n# an office\n\n\n[interface]\n\ndns=exit # whose\n\n\n\nPOSTUP=echo  '#1' # x\nexclude=10.0.0.0/8 192.0.2.0/24\n" +
				"# the way in\n  # (two lines)\n[ Hop ]  # entry\n\nname=entry\nConfig = se-got.conf\n[HOP]\nNAME = exit\nvia=entry\nconfig = us-nyc.conf,a b.conf\n# last\nroutes=10.0.0.0/8 @a b.txt,10.9.0.0/16\n\n# end",
			want: `# an office

[Interface]
DNS     = exit  # whose

PostUp  = echo  '#1' # x
Exclude = 10.0.0.0/8, 192.0.2.0/24

# the way in
# (two lines)
[Hop]  # entry
Name   = entry
Config = se-got.conf

[Hop]
Name   = exit
Via    = entry
Config = us-nyc.conf, a b.conf
# last
Routes = 10.0.0.0/8, @a b.txt, 10.9.0.0/16

# end
`,
		},
		{
			name: "written out",
			in: "[Interface]\r\nDNS=10.0.0.1 VIA a,9.9.9.9 lan.\r\nMTU=1400\r\n[Hop]\r\nName=a\r\nPrivateKey=" + testPrivate + "\r\nDNS=10.0.0.1 b.example\r\nMTU=\r\n[peer]\r\npublickey=" + testPublic +
				"\r\nallowedips=0.0.0.0/0 ::/0\r\npersistentkeepalive=25\r\n",
			want: "[Interface]\nDNS = 10.0.0.1 via a, 9.9.9.9, lan.\nMTU = 1400\n\n[Hop]\nName       = a\nPrivateKey = " + testPrivate + "\nDNS        = 10.0.0.1, b.example\nMTU        =\n\n[Peer]\nPublicKey           = " +
				testPublic + "\nAllowedIPs          = 0.0.0.0/0, ::/0\nPersistentKeepalive = 25\n",
		},
		{
			name: "empty sections",
			in:   "[Interface]\n\n\n[Interface]\n#\n[Hop]\nConfig=a\n\n\n",
			want: "[Interface]\n\n[Interface]\n\n#\n[Hop]\nConfig = a\n",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := format(t, tt.in)
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if again := format(t, got); again != got {
				t.Errorf("again (-once +twice):\n%s", cmp.Diff(got, again))
			}
		})
	}
}

func format(t *testing.T, text string) string {
	t.Helper()
	var b strings.Builder
	if err := Format(&b, "p.conf", strings.NewReader(text)); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// TestFormatErrors: a profile with errors is not written.
func TestFormatErrors(t *testing.T) {
	var b strings.Builder
	err := Format(&b, "p.conf", strings.NewReader("[Hop]\nName = a b\nMTU = x\n"))
	want := "p.conf:2: Name: \"a b\" is not a name: want 1 to 64 of a-z, A-Z, 0-9 and _=+.-\np.conf:3: MTU: \"x\" is not a number from 0 to 65535"
	if err == nil || err.Error() != want || b.Len() > 0 {
		t.Errorf("wrote %q, got %v", b.String(), err)
	}
	if err := Format(failing{}, "p.conf", strings.NewReader(hopEntry)); !errors.Is(err, io.ErrShortWrite) {
		t.Errorf("a write that fails: %v", err)
	}
}
