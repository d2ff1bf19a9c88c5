package conf

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"multihop/router"
)

// dnsOf returns an instance's DNS as lines, with the routes that are not from
// AllowedIPs or a file of prefixes.
func dnsOf(c *Instance) (out []string) {
	for _, r := range c.Resolvers {
		out = append(out, r.Addr.String()+" via "+r.Hop)
	}
	for _, s := range c.Search {
		out = append(out, "search "+s)
	}
	for _, r := range c.Config.Routes {
		if (!r.Derived || r.Prefix.IsSingleIP()) && r.Prefixes == nil {
			out = append(out, fmt.Sprintf("route %s=%s", r.Hop, r.Prefix))
		}
	}
	for _, w := range c.Warnings {
		if w.Key == "DNS" {
			out = append(out, w.Text)
		}
	}
	return out
}

func TestProfileDNS(t *testing.T) {
	const tree = hopEntry + hopExit + hopCorp
	for _, tt := range []struct {
		name, dns string // DNS of [Interface]; "": none
		flags     string
		hops      string
		want      []string
	}{
		{name: "none", hops: tree, want: []string{"none: the host keeps its own resolvers (DNS = entry would use those of se-got.conf)"}},
		{name: "none anywhere", hops: "[Hop]\nConfig = plain.conf\n", want: []string{"none: the host keeps its own resolvers"}},
		{name: "off", dns: "off", hops: tree},
		{name: "a hop's", dns: "exit", hops: tree, want: []string{"10.64.0.1 via exit", "search us.example"}},
		{name: "an outer hop's, with a route of its own", dns: "entry", hops: tree, want: []string{"10.64.0.1 via entry", "route entry=10.64.0.1/32"}},
		{name: "of several hops", dns: "exit, corp", hops: tree, want: []string{"10.64.0.1 via exit", "10.20.0.1 via corp", "search us.example", "search corp.example"}},
		{name: "an address via a hop", dns: "10.30.0.5 via corp, 192.0.2.53 via exit", hops: tree, want: []string{"10.30.0.5 via corp", "192.0.2.53 via exit"}},
		{name: "an address by its route", dns: "10.20.0.53 9.9.9.9", hops: tree, want: []string{"10.20.0.53 via corp", "9.9.9.9 via exit"}},
		{name: "search domains", dns: "9.9.9.9, ~corp.example, lan.", hops: tree, want: []string{"9.9.9.9 via exit", "search ~corp.example", "search lan."}},
		{name: "twice", dns: "9.9.9.9 9.9.9.9 exit exit", hops: tree, want: []string{"9.9.9.9 via exit", "10.64.0.1 via exit", "search us.example"}},
		{name: "flags win", dns: "off", flags: "corp", hops: tree, want: []string{"10.20.0.1 via corp", "search corp.example"}},
		{name: "a group's", dns: "g", hops: "[Hop]\nName = g\nConfig = us-nyc.conf, se-got.conf\n", want: []string{"10.64.0.1 via g", "search us.example"}},
		{
			name: "of a hop in several parts", dns: "10.77.0.1 via far, 172.16.0.1 via far", hops: tree + "[Hop]\nName = far\nVia = corp, entry\nConfig = far.conf\nRoutes = none\n",
			want: []string{"10.77.0.1 via far", "172.16.0.1 via far-2", "route far=10.77.0.1/32", "route far-2=172.16.0.1/32"},
		},
		{name: "by a route of a file", dns: "203.0.113.7", hops: tree + "Routes = @nets.txt\n", want: []string{"203.0.113.7 via corp"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			files := office()
			files["plain.conf"] = wg("plain", "10.0.0.0/8")
			files["far.conf"] = testInterface + "Address = 10.77.0.2\n" + testPeer + "AllowedIPs = 10.77.0.0/16\nEndpoint = 10.30.1.1:1\n[Peer]\nPublicKey = " + testPublic2 +
				"\nAllowedIPs = 172.16.0.0/12\nEndpoint = 192.0.2.7:1\n"
			files["nets.txt"] = "203.0.113.0/24\n" + manyPrefixes(maxSeparate)
			text, o := tt.hops, new(Overrides)
			if strings.Contains(text, "@nets") {
				files["corp.conf"] = strings.Replace(files["corp.conf"], "10.20.0.0/16", "0.0.0.0/0", 1)
			}
			if tt.dns != "" {
				text = "[Interface]\nDNS = " + tt.dns + "\n" + text
			}
			if tt.flags != "" {
				if err := o.Settings.Set("--dns", tt.flags); err != nil {
					t.Fatal(err)
				}
			}
			c, err := loadText(t, text, files, o)
			if err != nil {
				t.Fatal(err)
			}
			got := dnsOf(c)
			for i, s := range got {
				got[i] = strings.ReplaceAll(s, filepath.Dir(c.Files[0])+"/", "")
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			for _, r := range c.Resolvers { // what the router would do
				if hop := routeOf(c.Config.Routes, r.Addr); hop != r.Hop {
					t.Errorf("%v goes to %s", r, hop)
				}
			}
			if _, err := router.Compile(c.Config); err != nil {
				t.Errorf("Compile: %v", err)
			}
		})
	}
}

func TestDNSErrors(t *testing.T) {
	const tree = hopEntry + hopExit + hopCorp
	for _, tt := range []struct{ name, dns, hops, want string }{
		{"unknown hop", "exti", tree, `no hop is named "exti": did you mean exit? (a search domain of one label ends in a dot)`},
		{"neither a hop nor a domain", "ex=it.a", tree, `no hop is named "ex=it.a": did you mean exit? (a search domain of one label ends in a dot)`},
		{"unknown carrier", "9.9.9.9 via exti", tree, `no hop is named "exti": did you mean exit?`},
		{"no route", "9.9.9.9", hopEntry + "Routes = none\n", "no route has 9.9.9.9: write 9.9.9.9 via HOP"},
		{"outside a hop", "9.9.9.9 via corp", tree, "9.9.9.9 is outside the AllowedIPs of corp"},
		{"no address of the family", "2001:db8::1 via far", "[Hop]\nName = far\nConfig = v4.conf\n", "2001:db8::1 cannot be reached: far has no address of its family"},
		{"hop without DNS", "v4", tree + "[Hop]\nConfig = v4.conf\nRoutes = none\n", "the file of v4 says no resolver: write ADDRESS via v4"},
		{"none of a hop's", "far", "[Hop]\nName = far\nConfig = local.conf\n", "none of the resolvers of far can be used: 127.0.0.1 is not the address of a resolver behind a hop"},
		{"two hops", "9.9.9.9 via exit, 9.9.9.9 via entry", tree + "[Hop]\nName = b\nVia = entry\nConfig = us-nyc.conf\nRoutes = 9.9.9.9/32\n", "9.9.9.9 is to be reached through exit, but is a route of b"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			files := office()
			files["v4.conf"] = wg("v4", "0.0.0.0/0, ::/0", "Address = 10.9.0.1")
			files["local.conf"] = wg("local", "0.0.0.0/0", "Address = 10.9.0.1", "DNS = 127.0.0.1, fe80::1%eth0")
			_, err := loadText(t, "[Interface]\nDNS = "+tt.dns+"\n"+tt.hops, files, nil)
			if want := "p.conf:2: DNS: " + tt.want; err == nil || err.Error() != want {
				t.Errorf("got  %v\nwant %s", err, want)
			}
		})
	}
	o := new(Overrides)
	if err := o.Settings.Set("--dns", "exti"); err != nil {
		t.Fatal(err)
	}
	_, err := loadText(t, hopEntry+hopExit, office(), o)
	if want := `--dns exti: no hop is named "exti": did you mean exit? (a search domain of one label ends in a dot)`; err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}

func TestChainDNS(t *testing.T) {
	const address = "Address = 10.9.0.2"
	for _, tt := range []struct {
		name        string
		entry, exit string
		o           Overrides
		want        []string
	}{
		{
			name:  "the innermost file's",
			entry: wg("entry", "0.0.0.0/0", address, "DNS = 10.64.0.1, a.example"), exit: wg("exit", "0.0.0.0/0", address, "DNS = 10.64.0.2, b.example"),
			want: []string{"10.64.0.2 via exit", "search b.example", "ignored: in a chain only the last file's counts"},
		},
		{
			name:  "a route where there is none",
			entry: wg("entry", "0.0.0.0/0", address), exit: wg("exit", "0.0.0.0/0", address, "DNS = 10.64.0.2"), o: Overrides{Routes: flags(t, "198.51.100.0/24")},
			want: []string{"10.64.0.2 via exit", "route exit=198.51.100.0/24", "route exit=10.64.0.2/32"},
		},
		{
			name:  "a resolver that the hop would drop",
			entry: wg("entry", "0.0.0.0/0", address), exit: wg("exit", "10.20.0.0/16", address, "DNS = 9.9.9.9, 10.20.0.1, fe80::1%eth0, corp.example"),
			want: []string{
				"10.20.0.1 via exit", "search corp.example",
				"ignored: 9.9.9.9 is outside the AllowedIPs of exit", "ignored: fe80::1%eth0 is not the address of a resolver behind a hop",
			},
		},
		{
			name:  "only such",
			entry: wg("entry", "0.0.0.0/0", address), exit: wg("exit", "10.20.0.0/16", address, "DNS = 9.9.9.9, corp.example"),
			want: []string{"ignored: 9.9.9.9 is outside the AllowedIPs of exit"},
		},
		{
			name:  "a resolver that is another hop's route",
			entry: wg("entry", "0.0.0.0/0", address), exit: wg("exit", "0.0.0.0/0", address, "DNS = 9.9.9.9"), o: Overrides{Routes: flags(t, "0.0.0.0/0", "entry=9.9.9.9")},
			want: []string{"route exit=0.0.0.0/0", "route entry=9.9.9.9/32", "ignored: 9.9.9.9 is to be reached through exit, but is a route of entry"},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := folder(t, map[string]string{"entry.conf": tt.entry, "exit.conf": tt.exit})
			c, err := LoadChain([]string{filepath.Join(dir, "entry.conf"), filepath.Join(dir, "exit.conf")}, &tt.o)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, dnsOf(c)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
