package conf

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"multihop/router"
)

// folder writes files of the given names and returns their folder. Their modes
// are private.
func folder(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// wg returns a wg-quick file whose one peer has a key of its own for each name,
// and the given AllowedIPs. More lines go to [Interface].
func wg(name, allowed string, more ...string) string {
	public := router.Key{2, byte(len(name))}
	copy(public[2:], name)
	return testInterface + strings.Join(append(more, ""), "\n") + "[Peer]\nPublicKey = " + public.Encode() +
		"\nEndpoint = 192.0.2.1:51820\nAllowedIPs = " + allowed + "\n"
}

// loadText loads a profile p.conf with the files that lie beside it.
func loadText(t *testing.T, text string, files map[string]string, o *Overrides) (*Instance, error) {
	t.Helper()
	all := map[string]string{"p.conf": text}
	for name, text := range files {
		all[name] = text
	}
	dir := folder(t, all)
	c, err := LoadProfile(filepath.Join(dir, "p.conf"), o)
	if err != nil {
		return nil, errors.New(strings.ReplaceAll(err.Error(), dir+"/", ""))
	}
	return c, nil
}

// outline returns a Config as lines: hops, groups, routes.
func outline(c *Instance) (out []string) {
	for _, h := range c.Config.Hops {
		s := h.Name
		if h.Via != "" {
			s += " via " + h.Via
		}
		if h.Fragment {
			s += ", fragments"
		}
		out = append(out, s)
	}
	for _, g := range c.Config.Groups {
		s := "group " + g.Name + ": " + strings.Join(g.Hops, ", ")
		if g.Quiet+g.Patience+g.Return > 0 {
			s += fmt.Sprintf("; pace %v, %v, %v", g.Quiet, g.Patience, g.Return)
		}
		out = append(out, s)
	}
	for _, r := range c.Config.Routes {
		s := r.Hop + "=" + r.Prefix.String()
		if len(r.Prefixes) > 0 {
			s += fmt.Sprintf(" and %d more", len(r.Prefixes))
		}
		if !r.Derived {
			s += ", explicit"
		}
		switch r.OnDown {
		case router.Drop:
			s += ", dropped"
		case router.Fallback:
			s += ", else " + r.Fallback
		}
		out = append(out, s)
	}
	for _, l := range c.LeftOut {
		out = append(out, "left out "+l.String())
	}
	return out
}

// office has the files that most of the profiles here name.
func office() map[string]string {
	return map[string]string{
		"se-got.conf": wg("se-got", "0.0.0.0/0, ::/0", "Address = 10.64.0.2/32, fd00::2", "DNS = 10.64.0.1"),
		"us-nyc.conf": wg("us-nyc", "0.0.0.0/0", "Address = 10.64.0.3/32", "DNS = 10.64.0.1, us.example"),
		"corp.conf":   wg("corp", "10.20.0.0/16, 10.30.0.0/16", "Address = 10.20.0.9", "DNS = 10.20.0.1, corp.example"),
	}
}

const (
	hopEntry = "[Hop]\nName = entry\nConfig = se-got.conf\n"
	hopExit  = "[Hop]\nName = exit\nVia = entry\nConfig = us-nyc.conf\n"
	hopCorp  = "[Hop]\nName = corp\nVia = entry\nConfig = corp.conf\n"
)

func TestLoadProfile(t *testing.T) {
	leftByExit := []string{
		"left out 0.0.0.0/0 of entry: exit, further in, has it too",
		"left out ::/0 of entry: exit, further in, has the default of IPv4, so no hop outside it gets routes",
	}
	leftByFlags := func(names ...string) (out []string) {
		for _, n := range names {
			out = append(out, "left out "+n+": --route replaces the routes of every file")
		}
		return out
	}
	for _, tt := range []struct {
		name, text string
		files      map[string]string
		o          *Overrides
		want       []string
	}{
		{
			name: "three hops with a split",
			text: "[Interface]\nDNS = exit\n" + hopEntry + hopExit + hopCorp + "Routes = 10.20.0.0/16\n",
			want: append([]string{
				"entry", "exit via entry", "corp via entry",
				"exit=0.0.0.0/0", "corp=10.20.0.0/16, explicit",
			}, leftByExit...),
		},
		{
			name: "routes of siblings from files",
			text: hopEntry + hopExit + hopCorp,
			want: append([]string{
				"entry", "exit via entry", "corp via entry",
				"exit=0.0.0.0/0", "corp=10.20.0.0/16", "corp=10.30.0.0/16",
			}, leftByExit...),
		},
		{
			name: "names of files, found without .conf, forward references, folders",
			text: "[Hop]\nConfig = sub/a b.conf\nvia = se-got\n[hop]\nCONFIG=se-got # entry\n",
			files: map[string]string{
				"sub/a b.conf": wg("ab", "10.0.0.0/8"),
			},
			want: []string{"a-b via se-got", "se-got", "a-b=10.0.0.0/8", "se-got=0.0.0.0/0", "se-got=::/0"},
		},
		{
			name: "the same file twice",
			text: "[Hop]\nConfig = se-got.conf\nRoutes = none\n[Hop]\nName = se-got-2\nConfig = se-got.conf\nRoutes = none\n[Hop]\nConfig = se-got.conf\n",
			want: []string{"se-got", "se-got-2", "se-got-3", "se-got-3=0.0.0.0/0", "se-got-3=::/0"},
		},
		{
			name: "an explicit route of an outer hop, and its carried hop's own",
			text: hopEntry + "Routes = 203.0.113.0/24, 0.0.0.0/0\n" + hopExit,
			want: []string{
				"entry", "exit via entry", "entry=0.0.0.0/0, explicit", "entry=203.0.113.0/24, explicit",
				"left out 0.0.0.0/0 of exit: Routes of entry, further out, have it",
			},
		},
		{
			name: "a claim of explicit routes is only theirs",
			text: hopEntry + hopExit + "Routes = 198.51.100.0/24\n",
			want: []string{"entry", "exit via entry", "entry=0.0.0.0/0", "entry=::/0", "exit=198.51.100.0/24, explicit"},
		},
		{
			name: "two trees",
			text: "[Hop]\nName = a\nConfig = se-got.conf\nRoutes = none\n[Hop]\nName = b\nConfig = us-nyc.conf\n[Hop]\nName = c\nVia = b\nConfig = corp.conf\n",
			want: []string{"a", "b", "c via b", "b=0.0.0.0/0", "c=10.20.0.0/16", "c=10.30.0.0/16"},
		},
		{
			name: "what happens when down",
			text: hopEntry + "OnDown = drop\n" + hopExit + "Routes = 198.51.100.0/24\nOnDown = entry\n" + hopCorp + "OnDown = REJECT\n",
			want: []string{
				"entry", "exit via entry", "corp via entry", "entry=0.0.0.0/0, dropped", "entry=::/0, dropped",
				"exit=198.51.100.0/24, explicit, else entry", "corp=10.20.0.0/16", "corp=10.30.0.0/16",
			},
		},
		{
			name: "a group of files",
			text: "[Hop]\nName = out\nConfig = se-got.conf, us-nyc.conf\nOnDown = drop\nQuiet = 3\nPatience = 8\nReturn = 120\n" + "[Hop]\nVia = out\nConfig = corp.conf\n",
			want: []string{
				"se-got", "us-nyc", "corp via out", "group out: se-got, us-nyc; pace 3s, 8s, 2m0s",
				"out=0.0.0.0/0, dropped", "corp=10.20.0.0/16", "corp=10.30.0.0/16",
				"left out ::/0 of se-got: not every hop of out has it",
			},
		},
		{
			name:  "a group whose first file has more",
			text:  "[Hop]\nName = out\nConfig = wide.conf, corp.conf\n",
			files: map[string]string{"wide.conf": wg("wide", "10.0.0.0/8, 10.30.0.0/16")},
			want: []string{
				"wide", "corp", "group out: wide, corp", "out=10.30.0.0/16", "out=10.20.0.0/16",
				"left out 10.0.0.0/8 of wide: not every hop of out has it",
			},
		},
		{
			name:  "a group whose first file has less",
			text:  "[Hop]\nName = out\nConfig = corp.conf, wide.conf\n",
			files: map[string]string{"wide.conf": wg("wide", "10.0.0.0/8, 10.30.0.0/16")},
			want: []string{
				"corp", "wide", "group out: corp, wide", "out=10.20.0.0/16", "out=10.30.0.0/16",
				"left out 10.0.0.0/8 of wide: not every hop of out has it",
			},
		},
		{
			name: "a group of hops, one of which carries alone",
			text: "[Hop]\nName = a\nGroup = out\nConfig = se-got.conf\n" + "[Hop]\nConfig = corp.conf\nVia = a\n" +
				"[Hop]\nGroup = out\nConfig = us-nyc.conf\nRoutes = 198.51.100.0/24\nProbe = 198.51.100.1\n",
			want: []string{
				"a", "us-nyc", "corp via a", "group out: a, us-nyc",
				"out=198.51.100.0/24, explicit", "corp=10.20.0.0/16", "corp=10.30.0.0/16",
			},
		},
		{
			name: "a hop in the profile itself",
			text: hopEntry + "[Hop]\nName = in\nVia = entry\nFragment = yes\nPrivateKey = " + testPrivate + "\nAddress = 10.9.0.2/32\nMTU = 1300\n" + "[Peer]\nPublicKey = " + testPublic +
				"\nEndpoint = 192.0.2.9:1\nAllowedIPs = 10.9.0.0/16\n",
			want: []string{"entry", "in via entry, fragments", "entry=0.0.0.0/0", "entry=::/0", "in=10.9.0.0/16"},
		},
		{
			name: "peers behind different carriers",
			text: hopEntry + hopCorp + "[Hop]\nName = far\nVia = corp, entry\nConfig = far.conf\nRoutes = 172.16.5.0/24, 10.77.0.0/24\n[Hop]\nVia = far\nConfig = deep.conf\n",
			files: map[string]string{
				"far.conf": testInterface + "Address = 10.77.0.2\n" + testPeer + "AllowedIPs = 10.77.0.0/16\nEndpoint = 10.30.1.1:1\n[Peer]\nPublicKey = " + testPublic2 +
					"\nAllowedIPs = 172.16.0.0/12\nEndpoint = 192.0.2.7:1\n[Peer]\nPublicKey = " + testPreshared + "\nAllowedIPs = 172.16.9.0/24\nEndpoint = [2001:db8::1]:7\n",
				"deep.conf": strings.Replace(wg("deep", "10.88.0.0/16"), "192.0.2.1", "172.16.5.5", 1),
			},
			want: []string{
				"entry", "corp via entry", "far via corp", "far-2 via entry", "deep via far-2",
				"entry=0.0.0.0/0", "entry=::/0", "corp=10.20.0.0/16", "corp=10.30.0.0/16",
				"far=10.77.0.0/24, explicit", "far-2=172.16.5.0/24, explicit", "deep=10.88.0.0/16",
			},
		},
		{
			name: "flags replace all routes",
			text: hopEntry + hopExit + hopCorp + "Routes = 10.20.0.0/16\n",
			o:    &Overrides{Routes: flags(t, "exit=198.51.100.0/24", "corp=10.30.0.0/16"), Fragment: true},
			want: append([]string{
				"entry", "exit via entry, fragments", "corp via entry, fragments",
				"exit=198.51.100.0/24, explicit", "corp=10.30.0.0/16, explicit",
			}, leftByFlags("0.0.0.0/0 of entry", "::/0 of entry", "0.0.0.0/0 of exit", "10.20.0.0/16 of corp", "10.30.0.0/16 of corp")...),
		},
		{
			name: "a flag for the only innermost hop",
			text: hopEntry + hopExit,
			o:    &Overrides{Routes: flags(t, "198.51.100.0/24")},
			want: append([]string{"entry", "exit via entry", "exit=198.51.100.0/24, explicit"},
				leftByFlags("0.0.0.0/0 of entry", "::/0 of entry", "0.0.0.0/0 of exit")...),
		},
		{
			name: "prefix files",
			text: hopEntry + hopExit + "Routes = 192.0.2.9, @list of net.txt, @big\n",
			files: map[string]string{
				"list of net.txt": "# nets\n198.51.100.0/24 # one\r\n\n  203.0.113.5\n198.51.100.0/24",
				"big":             manyPrefixes(300),
			},
			want: []string{"entry", "exit via entry", "entry=0.0.0.0/0", "entry=::/0", "exit=100.64.0.0/32 and 302 more, explicit"},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			files := office()
			for name, text := range tt.files {
				files[name] = text
			}
			c, err := loadText(t, tt.text, files, tt.o)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, outline(c)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if _, err := router.Compile(c.Config); err != nil {
				t.Errorf("Compile: %v", err)
			}
		})
	}
}

// manyPrefixes returns a file of n prefixes of one address each.
func manyPrefixes(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "100.64.%d.%d/32\n", i>>8, i&255)
	}
	return b.String()
}
