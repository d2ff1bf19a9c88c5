package conf

import (
	"fmt"
	"net/netip"
	"regexp"
	"strings"
	"testing"
)

// FuzzProfile checks that no text makes a profile's parser or what follows it
// panic, that no key is ever shown, that errors are of one line each, that two
// branches never have the same route, and that Format keeps the meaning and is
// content with its own work.
func FuzzProfile(f *testing.F) {
	const tree = hopEntry + hopExit + hopCorp
	for _, s := range []string{
		tree, "[Interface]\nDNS = exit, 10.20.0.1 via corp, a.b lan.\nPostUp = a # b\nTable = 7\nExclude = 10.0.0.0/8 # c\n" + tree + "Routes = 10.20.0.0/16\nOnDown = exit",
		"[Hop]\nName=g\nConfig = se-got.conf, us-nyc.conf\nProbe = 192.0.2.1\nQuiet = 3\nOnDown = drop\n[Hop]\nVia=g,se-got\nConfig=corp.conf\nFragment=yes\nMTU=1280",
		"[Hop]\nGroup=g\nConfig=us-nyc.conf\n[Hop]\nGroup=g\nName=b\nConfig=se-got.conf\nRoutes=none\n",
		"[Hop]\nName = a\nPrivateKey = " + testPrivate + "\nAddress = 10.0.0.1\n" + testPeer + "AllowedIPs = 0.0.0.0/0\n",
		"[Hop]\nConfig = " + testPrivate + "\nRoutes = @" + testPrivate + "\n", "[Hop]\nVia = a\nConfig = a\nName = a\n",
		"[Hop]\nConfig = a\nVia = b\n[Hop]\nConfig = b\nVia = a\n", "#\r\n\n[hop] # a\n#b\n",
	} {
		f.Add(s)
	}
	aKey := regexp.MustCompile(`[0-9A-Za-z+/]{43}=`)
	f.Fuzz(func(t *testing.T, text string) {
		text, err := readText("fuzz.conf", strings.NewReader(text), 0, maxFile, "profile")
		if err != nil {
			return
		}
		p, errs := parseProfile("fuzz.conf", text, false)
		shown := ""
		for _, err := range errs {
			shown += render(err)
			if strings.ContainsAny(err.Error(), "\n\r") {
				t.Errorf("more than one line: %q", err)
			}
		}
		if errs == nil {
			checkFormat(t, p, text)
			shown += checkInstance(t, p)
		}
		for _, key := range aKey.FindAllString(text, -1) {
			if strings.Contains(shown, key) {
				t.Errorf("shows the key %s", key)
			}
		}
	})
}

// checkInstance makes an instance of p, whose files are those of an office.
func checkInstance(t *testing.T, p *profile) (shown string) {
	t.Helper()
	files := office()
	c := new(Instance)
	tree, errs := p.tree(c, func(path string) (*File, []error) {
		text, ok := files[path]
		if !ok {
			text = wg(hopName(path), "10.0.0.0/8, 2001:db8::/32")
		}
		return parseAll(path, strings.NewReader(text))
	})
	if errs != nil {
		return render(errs)
	}
	err := tree.placeAll()
	if err == nil {
		err = tree.giveRoutes(c)
	}
	if err == nil {
		err = tree.fill(c, p.settings, new(Overrides))
	}
	if err != nil {
		if strings.ContainsAny(err.Error(), "\n\r") {
			t.Errorf("more than one line: %q", err)
		}
		return render(err)
	}
	names := make(map[string]bool)
	for _, h := range c.Config.Hops {
		if names[h.Name] || !isHopName(h.Name) {
			t.Errorf("bad or second hop %q", h.Name)
		}
		names[h.Name] = true
	}
	seen := make(map[netip.Prefix]string)
	for _, r := range c.Config.Routes {
		for _, prefix := range append(r.Prefixes, r.Prefix) {
			if other, ok := seen[prefix]; ok && other != r.Hop {
				t.Errorf("%s is a route of %s and of %s", prefix, other, r.Hop)
			}
			seen[prefix] = r.Hop
		}
	}
	for _, r := range c.Resolvers {
		if hop := routeOf(c.Config.Routes, r.Addr); hop != r.Hop {
			t.Errorf("resolver %v goes to %q", r, hop)
		}
	}
	return render(c)
}

func checkFormat(t *testing.T, p *profile, text string) {
	t.Helper()
	once := format(t, text)
	if twice := format(t, once); twice != once {
		t.Errorf("once  %q\ntwice %q", once, twice)
	}
	again, errs := parseProfile("fuzz.conf", once, false)
	if errs != nil {
		t.Fatalf("%q: %v", once, errs)
	}
	if a, b := meaning(p), meaning(again); a != b {
		t.Errorf("before %s\nafter  %s", a, b)
	}
	if a, b := comments(text), comments(once); a != b {
		t.Errorf("comments before %q\nafter %q", a, b)
	}
}

// meaning returns all that a profile says, but for lines.
func meaning(p *profile) string {
	var b strings.Builder
	s := p.settings
	for _, d := range s.DNS {
		fmt.Fprint(&b, d, ";")
	}
	for _, hooks := range [][]Hook{s.PreUp, s.PostUp, s.PreDown, s.PostDown} {
		for _, h := range hooks {
			fmt.Fprintf(&b, "%q;", h.Command)
		}
	}
	fmt.Fprintln(&b, s.Addrs, s.Table, s.FwMark, s.MTU, s.LAN, s.KillSwitch, s.IPv6Direct, s.Exclude, s.Netns)
	for _, h := range p.hops {
		fmt.Fprintln(&b, h.name, h.group, h.via, h.configs, h.fragment, h.onDown, h.probe, h.routes == nil)
		for _, r := range h.routes {
			fmt.Fprint(&b, r.prefix, r.file, ";")
		}
		in := h.inline.Interface
		fmt.Fprintln(&b, in.PrivateKey.Encode(), in.DNS, in.Search, in.MTU, in.ListenPort)
		for _, a := range in.Addresses {
			fmt.Fprint(&b, a.Prefix, ";")
		}
		for _, p := range h.inline.Peers {
			fmt.Fprintln(&b, p.PublicKey.Encode(), p.PresharedKey.Encode(), p.Endpoint, p.AllowedIPs, p.Keepalive)
		}
	}
	return b.String()
}

// comments returns what stands after the first "#" of each line, with the
// commands that have one.
func comments(text string) string {
	var out []string
	for line := range strings.Lines(strings.TrimPrefix(text, "\ufeff")) {
		if _, c, ok := strings.Cut(line, "#"); ok {
			out = append(out, strings.TrimSpace(c))
		}
	}
	return strings.Join(out, "\n")
}

// FuzzPrefixes compares the reader of prefix files with a naive one.
func FuzzPrefixes(f *testing.F) {
	for _, s := range []string{"10.0.0.0/8\n", "# a\n10.1.2.3/8 # b\r\n\n::1\n", "10.0.0.0/8 10.0.0.0/9", "x", "::ffff:1.2.3.4", "fe80::1%a/3", "#"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var want []netip.Prefix
		bad := 0
		for i, line := range strings.Split(text, "\n") {
			line, _, _ = strings.Cut(line, "#")
			if line = strings.TrimSpace(line); line == "" || bad > 0 {
				continue
			}
			if a, err := netip.ParseAddr(line); err == nil {
				line = netip.PrefixFrom(a.WithZone(""), a.BitLen()).String()
				if a.Zone() != "" {
					line = "bad"
				}
			}
			p, err := netip.ParsePrefix(line)
			if err != nil || p.Addr().Is4In6() {
				bad = i + 1
				continue
			}
			want = append(want, p.Masked())
		}
		var got []netip.Prefix
		_, err := parsePrefixes("nets", text, func(p netip.Prefix) error {
			got = append(got, p)
			return nil
		})
		switch {
		case bad > 0:
			if err == nil || !strings.HasPrefix(err.Error(), fmt.Sprintf("nets:%d: ", bad)) {
				t.Errorf("line %d is wrong, got %v", bad, err)
			}
		case len(want) == 0:
			if err == nil || err.Error() != "nets: no prefixes: want one a line" {
				t.Errorf("nothing in it, got %v", err)
			}
		case err != nil || fmt.Sprint(got) != fmt.Sprint(want):
			t.Errorf("got %v, %v, want %v", got, err, want)
		}
	})
}

// FuzzSettings checks that no value makes a setting panic, or shows a key.
func FuzzSettings(f *testing.F) {
	for _, s := range []string{"10.0.0.1", "exit via a", "off", testPrivate, "1.1.1.1 via " + testPrivate, "0x7", "../x"} {
		f.Add(s)
	}
	aKey := regexp.MustCompile(`[0-9A-Za-z+/]{43}=`)
	f.Fuzz(func(t *testing.T, text string) {
		for _, st := range SettingList() {
			var s Settings
			err := s.Set("--"+st.Flag, text)
			if err == nil {
				continue
			}
			if strings.ContainsAny(err.Error(), "\n\r") || !strings.HasPrefix(err.Error(), "--"+st.Flag+": ") {
				t.Errorf("%q", err)
			}
			for _, key := range aKey.FindAllString(text, -1) {
				if strings.Contains(err.Error(), key) {
					t.Errorf("shows a key: %v", err)
				}
			}
		}
	})
}
