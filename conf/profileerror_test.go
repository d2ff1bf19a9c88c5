package conf

import (
	"strings"
	"testing"
)

func TestLoadProfileErrors(t *testing.T) {
	const inline = "PrivateKey = " + testPrivate + "\n" // of a [Hop]
	for _, tt := range []struct{ name, text, want string }{
		{"empty", "", "p.conf: [Hop]: missing: a profile has one for each tunnel"},
		{"no hop", "[Interface]\nDNS = off\n", "p.conf: [Hop]: missing: a profile has one for each tunnel"},
		{"before the first section", "Name = a\n", "p.conf:1: before the first section: start the file with [Interface]"},
		{"unknown section", "[Hops]\n", "p.conf:1: unknown section [Hops]: did you mean [Hop]?"},
		{"strange section", "[Router]\n", "p.conf:1: unknown section [Router]: a profile has [Interface], [Hop] and [Peer]"},
		{"key of a hop", "[Interface]\nvia = a\n", "p.conf:2: Via: belongs in [Hop], not in [Interface]"},
		{"key of the instance", hopEntry + "KillSwitch = no\n", "p.conf:4: KillSwitch: belongs in [Interface], not in [Hop]"},
		{"key of a peer", hopEntry + "Endpoint = a:1\n", "p.conf:4: Endpoint: belongs in [Peer], not in [Hop]"},
		{"hooks of a hop", hopEntry + "PostUp = a\n", "p.conf:4: PostUp: belongs in [Interface], not in [Hop]"},
		{"misspelled setting", "[Interface]\nKilSwitch = no\n", "p.conf:2: KilSwitch: unknown key: did you mean KillSwitch?"},
		{"misspelled key", "[Hop]\nConfg = a\n", "p.conf:2: Confg: unknown key: did you mean Config?"},
		{"unknown key", "[Hop]\nColour = a\n", "p.conf:2: Colour: unknown key: [Hop] has Name, Via, Config, Routes, OnDown, Group, Probe, Quiet, Patience, Return, Fragment, PrivateKey, ListenPort, Address, DNS, MTU"},
		{"no value", "[Hop]\nName\n", `p.conf:2: [Hop]: neither "Key = value", nor a section such as [Peer], nor a comment (#)`},
		{"twice", hopEntry + "Name = b\n", "p.conf:4: Name: given twice (first in line 2): keep one"},
		{"setting twice", "[Interface]\nTable = off\n[Interface]\nTable = 7\n", "p.conf:4: Table: given twice (first in line 2): keep one"},

		{"name", "[Hop]\nName = a b\n", `p.conf:2: Name: "a b" is not a name: want 1 to 64 of a-z, A-Z, 0-9 and _=+.-`},
		{"name that is a word", "[Hop]\nName = Drop\n", "p.conf:2: Name: Drop is a word of profiles: choose another name"},
		{"name of two", hopEntry + "[Hop]\nConfig = us-nyc.conf\nName = entry\n", "p.conf:6: Name: entry is the name of the [Hop] in line 1, too"},
		{"name of a group", hopEntry + "[Hop]\nConfig = us-nyc.conf\nGroup = entry\n", "p.conf:6: Group: entry is the name of the [Hop] in line 1: choose another"},
		{"no config", "[Hop]\nName = a\n", "p.conf:1: Config: missing: a [Hop] names its wg-quick file, or has a PrivateKey and [Peer] sections of its own"},
		{"config empty", "[Hop]\nConfig =\n", "p.conf:2: Config: no file"},
		{"config empty in a list", "[Hop]\nConfig = a.conf,\n", "p.conf:2: Config: no file"},
		{"config twice", "[Hop]\nName = a\nConfig = a.conf, a.conf\n", `p.conf:3: Config: "a.conf" is listed twice`},
		{"config absolute", "[Hop]\nConfig = /etc/wireguard/a.conf\n", `p.conf:2: Config: "/etc/wireguard/a.conf" leaves the profile's folder, DIR: put the file there, or a link to it`},
		{"config above", "[Hop]\nConfig = sub/../../a.conf\n", `p.conf:2: Config: "sub/../../a.conf" leaves the profile's folder, DIR: put the file there, or a link to it`},
		{"config is a key", "[Hop]\nConfig = " + testPrivate + "\n", "p.conf:2: Config: not a file (not repeated here: it could be a key)"},
		{"config names a hop like a key", "[Hop]\nConfig = " + testPrivate[:43] + "!.conf\n", "p.conf:2: Config: not a file (not repeated here: it could be a key)"},
		{"config that is not there", "[Hop]\nConfig = none.conf\n", "none.conf: no such file or directory"},
		{"config with an error", "[Hop]\nConfig = broken.conf\n", "broken.conf: PrivateKey: missing: [Interface] needs one"},
		{"config that is the profile", "[Hop]\nConfig = p.conf\n", "p.conf:1: unknown section [Hop]: a wg-quick file has [Interface] and [Peer]"},
		{"unnamed group", "[Hop]\nConfig = se-got.conf, us-nyc.conf\n", "p.conf:1: Name: missing: several files are a group, and a group needs a name"},
		{"group of a group", "[Hop]\nName = a\nGroup = b\nConfig = se-got.conf, us-nyc.conf\n", "p.conf:3: Group: several files in Config are a group of their own: keep one of the two"},

		{"via nobody", hopEntry + "[Hop]\nVia = enty\nConfig = us-nyc.conf\n", `p.conf:5: Via: no hop is named "enty": did you mean entry?`},
		{"via nobody at all", hopEntry + "[Hop]\nVia = zzz\nConfig = us-nyc.conf\n", `p.conf:5: Via: no hop is named "zzz": there are entry, us-nyc`},
		{"via twice", "[Hop]\nVia = a, a\n", "p.conf:2: Via: a is listed twice"},
		{"via a key", "[Hop]\nVia = " + testPrivate + "/\n", "p.conf:2: Via: the value (not repeated here: it could be a key) is not a name: want 1 to 64 of a-z, A-Z, 0-9 and _=+.-"},
		{"via itself", "[Hop]\nName = a\nVia = a\nConfig = us-nyc.conf\n", "p.conf:3: Via: a would carry itself"},
		{"a cycle", "[Hop]\nName = a\nVia = c\nConfig = us-nyc.conf\n[Hop]\nName = b\nVia = a\nConfig = us-nyc.conf\n[Hop]\nName = c\nVia = b\nConfig = us-nyc.conf\n",
			"p.conf:7: Via: a cycle: a is itself carried by b, directly or not"},
		{"a group that carries itself", "[Hop]\nName = a\nGroup = g\nConfig = us-nyc.conf\n[Hop]\nName = b\nVia = a\nGroup = g\nConfig = us-nyc.conf\n", "p.conf:7: Via: g would carry itself"},
		{"no carrier reaches a peer", hopEntry + "Routes = none\n" + hopCorp + "[Hop]\nVia = corp, corp2\nConfig = us-nyc.conf\n[Hop]\nName = corp2\nConfig = corp.conf\n",
			"p.conf:10: Via: the endpoint 192.0.2.1 is outside the AllowedIPs of corp and corp2"},
		{"a member with two carriers", hopEntry + hopCorp + "[Hop]\nGroup = g\nVia = corp, entry\nConfig = split.conf\n", "p.conf:10: Via: a hop of a group has one carrier"},
		{"fragments of nobody", hopEntry + "Fragment = yes\n", "p.conf:4: Fragment: only a hop with Via has a link that could"},
		{"fragments", hopEntry + "Fragment = maybe\n", `p.conf:4: Fragment: "maybe" is neither yes nor no`},

		{"routes empty", hopEntry + "Routes =\n", "p.conf:4: Routes: no prefixes: write none for a hop that only carries others"},
		{"routes and none", hopEntry + "Routes = 10.0.0.0/8, none\n", "p.conf:4: Routes: none stands alone"},
		{"none and routes", hopEntry + "Routes = none\nRoutes = 10.0.0.0/8\n", "p.conf:5: Routes: none stands alone"},
		{"routes", hopEntry + "Routes = 10.0.0.0/33\n", `p.conf:4: Routes: "10.0.0.0/33" is not an IP prefix: want one such as 10.0.0.0/8 or fd00::1/128`},
		{"routes outside", hopEntry + hopCorp + "Routes = 10.20.0.0/15\n", "p.conf:8: Routes: 10.20.0.0/15 is outside the AllowedIPs of corp: WireGuard would drop its packets"},
		{"routes outside one of a group", "[Hop]\nName = g\nConfig = se-got.conf, us-nyc.conf\nRoutes = 2001:db8::/32\n", "p.conf:4: Routes: 2001:db8::/32 is outside the AllowedIPs of g: WireGuard would drop its packets"},
		{"routes of a file above", hopEntry + "Routes = @../x\n", `p.conf:4: Routes: "../x" leaves the profile's folder, DIR: put the file there, or a link to it`},
		{"routes of no file", hopEntry + "Routes = @\n", "p.conf:4: Routes: no file"},
		{"routes of a file that is not there", hopEntry + "Routes = @x.txt\n", "x.txt: no such file or directory"},
		{"routes of a file with an error", hopEntry + "Routes = @bad.txt\n", `bad.txt:3: "10.0.0.0/8 10.1.0.0/16" is not an IP prefix: want one such as 10.0.0.0/8 or fd00::1/128`},
		{"routes of a file outside", hopEntry + hopCorp + "Routes = @outside.txt\n", "outside.txt:2: 10.21.0.0/16 is outside the AllowedIPs of corp: WireGuard would drop its packets"},
		{"routes of an empty file", hopEntry + "Routes = @empty.txt\n", "empty.txt: no prefixes: want one a line"},

		{"equal routes of siblings", hopEntry + hopExit + "[Hop]\nName = b\nVia = entry\nConfig = us-nyc.conf\n",
			"p.conf:8: Routes: 0.0.0.0/0 is a route of exit and of b: give one of them Routes without it (or none)"},
		{"the same default of siblings", hopEntry + hopExit + "[Hop]\nName = b\nVia = entry\nConfig = halves.conf\n",
			"p.conf:8: Routes: the default of IPv4 is a route of exit and of b: give one of them Routes without it (or none)"},
		{"a default beside a tree", hopEntry + "[Hop]\nName = b\nConfig = us-nyc.conf\n",
			"p.conf:4: Routes: 0.0.0.0/0 is a route of entry and of b: give one of them Routes without it (or none)"},
		{"explicit and derived", hopEntry + hopExit + hopCorp + "[Hop]\nName = b\nVia = entry\nConfig = us-nyc.conf\nRoutes = 10.20.0.0/16\n",
			"p.conf:16: Routes: 10.20.0.0/16 is a route of corp and of b: give one of them Routes without it (or none)"},
		{"explicit twice along a path", hopEntry + "Routes = 198.51.100.0/24\n" + hopExit + "Routes = 198.51.100.0/24\n",
			"p.conf:9: Routes: 198.51.100.0/24 is a route of entry and of exit: give one of them Routes without it (or none)"},

		{"on down", hopEntry + "OnDown = a b\n", `p.conf:4: OnDown: "a b" is neither reject, nor drop, nor a hop's name`},
		{"on down nobody", hopEntry + "OnDown = rejct\n", `p.conf:4: OnDown: neither reject, nor drop, nor a hop: no hop is named "rejct": there are entry`},
		{"on down itself", hopEntry + "OnDown = entry\n", "p.conf:4: OnDown: entry is what is down: name another hop"},
		{"on down of a group", "[Hop]\nGroup = g\nConfig = us-nyc.conf\nOnDown = drop\n[Hop]\nGroup = g\nConfig = se-got.conf\nOnDown = reject\n",
			"p.conf:8: OnDown: reject, but another hop of g says drop: the routes are the group's"},
		{"probe", hopEntry + "Probe = example.com\n", `p.conf:4: Probe: "example.com" is not the address of a host behind the hop`},
		{"probe of no group", hopEntry + "Probe = 192.0.2.1\n", "p.conf:4: Probe: only a group is probed: several files in Config, or several [Hop] with one Group"},
		{"a file's name with a control character", hopEntry + "Routes = @a\rb\n", `p.conf:4: Routes: "a\rb" is no file's name: it has a control character`},
		{"pace", hopEntry + "Quiet = 5m\n", `p.conf:4: Quiet: "5m" is not a number from 0 to 3600 (seconds)`},
		{"no pace", hopEntry + "Return = 0\n", "p.conf:4: Return: 0 is no time: want seconds"},
		{"pace of no group", hopEntry + "Patience = 9\n", "p.conf:4: Patience: only a group is probed: several files in Config, or several [Hop] with one Group"},
		{"two paces", "[Hop]\nGroup = g\nConfig = se-got.conf\nQuiet = 5\n[Hop]\nGroup = g\nConfig = us-nyc.conf\nQuiet = 6\n", "p.conf:8: Quiet: 6, but another hop of g says 5: keep one"},
		{"probe outside", "[Hop]\nName = g\nConfig = se-got.conf, us-nyc.conf\nProbe = 2001:db8::1\n", "p.conf:4: Probe: 2001:db8::1 is outside the AllowedIPs of a hop of g"},

		{"peer without a hop", "[Peer]\n", "p.conf:1: [Peer]: before the first [Hop], and so of none"},
		{"config and a peer", hopEntry + testPeer, "p.conf:4: [Peer]: its [Hop] has a Config, whose peers count: keep one of the two"},
		{"config and a key", hopEntry + inline, "p.conf:4: PrivateKey: is the file's to say that Config names: keep one of the two"},
		{"config and an address", hopEntry + "Address = 10.0.0.1\n", "p.conf:4: Address: is the file's to say that Config names: keep one of the two"},
		{"inline without a key", "[Hop]\nName = a\n" + testPeer, "p.conf:1: PrivateKey: missing: a [Hop] without Config needs one"},
		{"inline without a name", "[Hop]\n" + inline + testPeer, "p.conf:1: Name: missing: without Config there is no file to name the hop"},
		{"inline without a peer", "[Hop]\nName = a\n" + inline, "p.conf:1: [Peer]: missing: there is nothing to connect to"},
		{"inline with its own key", "[Hop]\nName = a\n" + inline + "[Peer]\nPublicKey = " + mustKey(testPrivate).Public().Encode() + "\n",
			"p.conf:4: PublicKey: belongs to the hop's own PrivateKey: it must be the relay's"},
		{"inline with a bad value", "[Hop]\nName = a\nListenPort = x\n", `p.conf:3: ListenPort: "x" is not a number from 0 to 65535`},
		{"second address of a family", "[Hop]\nConfig = addresses.conf\n", "addresses.conf:3: Address: 10.0.0.3 is a second IPv4 address (the first is 10.0.0.2, line 3), and a hop can have one a family: remove one"},

		{"two tables", "[Hop]\nConfig = table7.conf\nRoutes = none\n" + "[Hop]\nConfig = table8.conf\n",
			"table8.conf:3: Table: 8, but table7.conf says 7, and all hops share one: set Table in the profile, or by its flag"},
		{"two marks", "[Hop]\nConfig = table7.conf\nRoutes = none\n" + "[Hop]\nConfig = mark8.conf\n",
			"mark8.conf:3: FwMark: 0x8, but table7.conf says 0x7, and all hops share one: set FwMark in the profile, or by its flag"},
		{"too many hops", strings.Repeat("[Hop]\n", maxHops+1), "p.conf:257: [Hop]: more than 256 hops"},
		{"too many files", "[Hop]\nName = a\nConfig = a" + manyNames(maxConfigs) + "\n", "p.conf:3: Config: more than 16 files"},
		{"too many carriers", "[Hop]\nVia = a" + manyNames(maxVias) + "\n", "p.conf:2: Via: more than 16 hops"},
		{"too long", strings.Repeat("#", maxFile+1), "p.conf: longer than 1048576 bytes: not a profile"},
		{"binary", "[Hop]\x00\n", "p.conf: not a text file: it has bytes of zero"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			files := office()
			files["broken.conf"] = "[Interface]\nMTU = 1400\n"
			files["halves.conf"] = wg("halves", "0.0.0.0/1, 128.0.0.0/1")
			files["split.conf"] = testInterface + testPeer + "AllowedIPs = 10.77.0.0/16\nEndpoint = 10.30.1.1:1\n[Peer]\nPublicKey = " + testPublic2 +
				"\nAllowedIPs = 172.16.0.0/12\nEndpoint = 192.0.2.7:1\n"
			files["bad.txt"] = "10.0.0.0/8\n\n10.0.0.0/8 10.1.0.0/16\n"
			files["outside.txt"] = "10.20.0.0/16\n10.21.0.0/16\n"
			files["empty.txt"] = "# nothing\n"
			files["addresses.conf"] = testInterface + "Address = 10.0.0.2, 10.0.0.3\n" + testPeer
			files["table7.conf"] = testInterface + "Table = 7\nFwMark = 7\n" + testPeer
			files["table8.conf"] = testInterface + "Table = 8\n" + testPeer
			files["mark8.conf"] = testInterface + "FwMark = 8\n" + testPeer
			c, err := loadText(t, tt.text, files, nil)
			if err == nil {
				t.Fatalf("accepted:\n%s", strings.Join(outline(c), "\n"))
			}
			if got := dirName(err.Error()); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}

// dirName hides the name of a temporary folder.
func dirName(s string) string {
	before, after, ok := strings.Cut(s, "folder, ")
	if !ok {
		return s
	}
	_, after, _ = strings.Cut(after, ":")
	return before + "folder, DIR:" + after
}

func manyNames(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(", n" + string(rune('a'+i/26)) + string(rune('a'+i%26)))
	}
	return b.String()
}
