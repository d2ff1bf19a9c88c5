package conf

import (
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"

	"multihop/router"
)

// Keys that no relay has: 32 characters of text each.
const (
	testPrivate   = "dGhpcyBpcyBhIHByaXZhdGUga2V5IG9mIHRlc3RzLi4=" // "this is a private key of tests.."
	testPublic    = "dGhpcyBpcyB0aGUgcHVibGljIGtleSBvZiB0ZXN0cy4=" // "this is the public key of tests."
	testPublic2   = "YW5vdGhlciBwdWJsaWMga2V5IG9mIHRoZSB0ZXN0cy4=" // "another public key of the tests."
	testPreshared = "dGhpcyBpcyB0aGUgcHJlc2hhcmVkIGtleSBvZiBpdC4=" // "this is the preshared key of it."
	zeroKey       = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
)

// The sections of a file that needs nothing more. PrivateKey is in line 2, the
// [Peer] in line 3, its PublicKey in line 4.
const (
	testInterface = "[Interface]\nPrivateKey = " + testPrivate + "\n"
	testPeer      = "[Peer]\nPublicKey = " + testPublic + "\n"
	testMinimal   = testInterface + testPeer
)

func TestParseErrors(t *testing.T) {
	long := strings.Repeat("x.", 60)
	for _, tt := range []struct{ name, text, want string }{
		{"empty", "", "t.conf: no [Interface] and no [Peer]: not a wg-quick file"},
		{"only comments", "# nothing\n\n", "t.conf: no [Interface] and no [Peer]: not a wg-quick file"},
		{"empty sections", "[Interface]\n", "t.conf: no [Interface] and no [Peer]: not a wg-quick file"},
		{"UTF-16", "\xff\xfe[\x00I\x00", "t.conf: text in UTF-16: save the file as UTF-8"},
		{"binary", "[Interface]\x00", "t.conf: not a text file: it has bytes of zero"},
		{"too long", testMinimal + strings.Repeat("#", maxFile), "t.conf: longer than 1048576 bytes: not a wg-quick file"},
		{"no private key", "[Interface]\nMTU = 1400\n" + testPeer, "t.conf: PrivateKey: missing: [Interface] needs one"},
		{"no interface", testPeer, "t.conf: PrivateKey: missing: [Interface] needs one"},
		{"no peer", testInterface, "t.conf: [Peer]: missing: there is nothing to connect to"},
		{"no public key", testInterface + "[Peer]\n# none\n", "t.conf:3: PublicKey: missing: each [Peer] needs one"},
		{"no public key, not the last peer", testInterface + "[Peer]\n\n" + testPeer, "t.conf:3: PublicKey: missing: each [Peer] needs one"},
		{"own public key", testInterface + "[Peer]\nPublicKey = " + mustKey(testPrivate).Public().Encode() + "\n",
			"t.conf:3: PublicKey: belongs to the hop's own PrivateKey: it must be the relay's"},
		{"peer twice", testMinimal + testPeer, "t.conf:5: PublicKey: the same as that of the [Peer] in line 3: make them one"},

		{"no section", "MTU = 1400\n", "t.conf:1: before the first section: start the file with [Interface]"},
		{"open section", "[Interface\n", "t.conf:1: a section's name must end in ]"},
		{"unknown section", "[Hop]\n", "t.conf:1: unknown section [Hop]: a wg-quick file has [Interface] and [Peer]"},
		{"misspelled section", "\n[Inteface]\n", "t.conf:2: unknown section [Inteface]: did you mean [Interface]?"},
		{"plural section", testInterface + "[Peers]\n", "t.conf:3: unknown section [Peers]: did you mean [Peer]?"},
		{"strange section", "[" + testPrivate + "]\n", "t.conf:1: unknown section: a wg-quick file has [Interface] and [Peer]"},

		{"no equals sign", "[Interface]\nMTU 1400\n", `t.conf:2: [Interface]: neither "Key = value", nor a section such as [Peer], nor a comment (#)`},
		{"comment cuts the equals sign", "[Interface]\nMTU # = 1400\n", `t.conf:2: [Interface]: neither "Key = value", nor a section such as [Peer], nor a comment (#)`},
		{"key of a peer", "[Interface]\nendpoint = 192.0.2.1:1\n", "t.conf:2: Endpoint: belongs in [Peer], not in [Interface]"},
		{"key of the interface", testMinimal + "mtu = 1400\n", "t.conf:5: MTU: belongs in [Interface], not in [Peer]"},
		{"misspelled key", "[Interface]\nAdress = 10.0.0.2\n", "t.conf:2: Adress: unknown key: did you mean Address?"},
		{"misspelled peer key", testMinimal + "AllowedIP = 10.0.0.2\n", "t.conf:5: AllowedIP: unknown key: did you mean AllowedIPs?"},
		{"unknown key", testMinimal + "Colour = blue\n", "t.conf:5: Colour: unknown key: [Peer] has PublicKey, PresharedKey, Endpoint, AllowedIPs, PersistentKeepalive"},
		{"secret as a key", "[Interface]\n" + testPrivate + "\n", "t.conf:2: [Interface]: unknown key (not repeated here: it could be part of a secret)"},
		{"AmneziaWG Jc", "[Interface]\nJc = 4\n", "t.conf:2: Jc: a key of AmneziaWG, which is not supported: get a plain WireGuard file from the provider"},
		{"AmneziaWG Jmin", "[Interface]\njmin = 4\n", "t.conf:2: jmin: a key of AmneziaWG, which is not supported: get a plain WireGuard file from the provider"},
		{"AmneziaWG H4", "[Interface]\nH4 = 4\n", "t.conf:2: H4: a key of AmneziaWG, which is not supported: get a plain WireGuard file from the provider"},
		{"AmneziaWG peer", testMinimal + "AdvancedSecurity = on\n", "t.conf:5: AdvancedSecurity: a key of AmneziaWG, which is not supported: get a plain WireGuard file from the provider"},
		{"Android", "[Interface]\nExcludedApplications = a.b\n", "t.conf:2: ExcludedApplications: a key of WireGuard for Android only: remove the line"},

		{"private key twice", testInterface + "privatekey = " + testPublic + "\n", "t.conf:3: PrivateKey: given twice (first in line 2): keep one"},
		{"MTU in two sections", testInterface + "MTU = 1400\n" + testPeer + "[Interface]\nMTU = 1400\n", "t.conf:7: MTU: given twice (first in line 3): keep one"},
		{"endpoint twice", testMinimal + "Endpoint = 192.0.2.1:1\nEndpoint = 192.0.2.2:1\n", "t.conf:6: Endpoint: given twice (first in line 5): keep one"},

		{"private key short", "[Interface]\nPrivateKey = AAAA\n", "t.conf:2: PrivateKey: not a key: want 32 bytes in base64, 44 characters ending in ="},
		{"private key empty", "[Interface]\nPrivateKey =\n", "t.conf:2: PrivateKey: not a key: want 32 bytes in base64, 44 characters ending in ="},
		{"private key zero", "[Interface]\nPrivateKey = " + zeroKey + "\n", "t.conf:2: PrivateKey: all zeros: not a key"},
		{"public key bad", testInterface + "[Peer]\nPublicKey = " + testPublic + "=\n", "t.conf:4: PublicKey: not a key: want 32 bytes in base64, 44 characters ending in ="},
		{"preshared key bad", testMinimal + "PresharedKey = x\n", "t.conf:5: PresharedKey: not a key: want 32 bytes in base64, 44 characters ending in ="},

		{"listen port", "[Interface]\nListenPort = 65536\n", `t.conf:2: ListenPort: "65536" is not a number from 0 to 65535`},
		{"mark", "[Interface]\nFwMark = 0x100000000\n", `t.conf:2: FwMark: "0x100000000" is not a number from 0 to 4294967295, or off`},
		{"mark negative", "[Interface]\nFwMark = -1\n", `t.conf:2: FwMark: "-1" is not a number from 0 to 4294967295, or off`},
		{"table", "[Interface]\nTable = of\n", `t.conf:2: Table: "of" is not a number from 0 to 4294967295, auto or off`},
		{"save", "[Interface]\nSaveConfig = yes\n", "t.conf:2: SaveConfig: neither true nor false"},
		{"MTU word", "[Interface]\nMTU = big\n", `t.conf:2: MTU: "big" is not a number from 0 to 65535`},
		{"MTU is a key", "[Interface]\nMTU = " + testPrivate + "\n", "t.conf:2: MTU: the value (not repeated here: it could be a key) is not a number from 0 to 65535"},
		{"MTU long", "[Interface]\nMTU = " + long + "\n", `t.conf:2: MTU: "` + long[:maxShown] + `"... is not a number from 0 to 65535`},

		{"address", "[Interface]\nAddress = 10.0.0.1, 10.0.0.300/24\n", `t.conf:2: Address: "10.0.0.300/24" is not an IP prefix: want one such as 10.0.0.0/8 or fd00::1/128`},
		{"address mask", "[Interface]\nAddress = 10.0.0.1/255.0.0.0\n", `t.conf:2: Address: "10.0.0.1/255.0.0.0" is not an IP prefix: want one such as 10.0.0.0/8 or fd00::1/128`},
		{"address zone", "[Interface]\nAddress = fe80::1%eth0\n", `t.conf:2: Address: "fe80::1%eth0" is not an IP prefix: want one such as 10.0.0.0/8 or fd00::1/128`},
		{"address unspecified", "[Interface]\nAddress = 0.0.0.0/0\n", "t.conf:2: Address: 0.0.0.0 cannot be a tunnel's address"},
		{"address loopback", "[Interface]\nAddress = ::1\n", "t.conf:2: Address: ::1 cannot be a tunnel's address"},
		{"address multicast", "[Interface]\nAddress = ff02::1\n", "t.conf:2: Address: ff02::1 cannot be a tunnel's address"},
		{"address mapped", "[Interface]\nAddress = ::ffff:10.0.0.1\n", `t.conf:2: Address: "::ffff:10.0.0.1" is an IPv4 address written as IPv6: write it as IPv4`},
		{"DNS address", "[Interface]\nDNS = 1.2.3\n", `t.conf:2: DNS: "1.2.3" is not an IP address`},
		{"DNS port", "[Interface]\nDNS = 192.0.2.53:53\n", `t.conf:2: DNS: "192.0.2.53:53" is not an IP address`},
		{"DNS search", "[Interface]\nDNS = corp_1/example\n", `t.conf:2: DNS: "corp_1/example" is neither an address nor a search domain`},
		{"DNS is a key", "[Interface]\nDNS = " + testPrivate + "\n", "t.conf:2: DNS: the value (not repeated here: it could be a key) is neither an address nor a search domain"},

		{"allowed", testMinimal + "AllowedIPs = 0.0.0.0/0 ::/129\n", `t.conf:5: AllowedIPs: "::/129" is not an IP prefix: want one such as 10.0.0.0/8 or fd00::1/128`},
		{"allowed word", testMinimal + "AllowedIPs = all\n", `t.conf:5: AllowedIPs: "all" is not an IP prefix: want one such as 10.0.0.0/8 or fd00::1/128`},
		{"keepalive", testMinimal + "PersistentKeepalive = 25s\n", `t.conf:5: PersistentKeepalive: "25s" is not a number from 0 to 65535 (seconds), or off`},
		{"endpoint no port", testMinimal + "Endpoint = vpn.example\n", `t.conf:5: Endpoint: "vpn.example" is not host:port or [IPv6 address]:port`},
		{"endpoint address alone", testMinimal + "Endpoint = 192.0.2.1\n", "t.conf:5: Endpoint: no port: want 192.0.2.1:PORT, often 192.0.2.1:51820"},
		{"endpoint IPv6 alone", testMinimal + "Endpoint = 2001:db8::1\n", "t.conf:5: Endpoint: no port: want [2001:db8::1]:PORT, often [2001:db8::1]:51820"},
		{"endpoint no brackets", testMinimal + "Endpoint = 2001:db8:0:1:2:3:4:5:51820\n", "t.conf:5: Endpoint: an IPv6 address needs brackets: [2001:db8:0:1:2:3:4:5]:51820"},
		{"endpoint no brackets, no port", testMinimal + "Endpoint = 2001:db8:0:1:2:3:4:5:wg\n", "t.conf:5: Endpoint: an IPv6 address needs brackets: [2001:db8:0:1:2:3:4:5]:PORT"},
		{"endpoint port 0", testMinimal + "Endpoint = vpn.example:0\n", `t.conf:5: Endpoint: "vpn.example:0": the port must be a number from 1 to 65535`},
		{"endpoint service", testMinimal + "Endpoint = vpn.example:https\n", `t.conf:5: Endpoint: "vpn.example:https": the port must be a number from 1 to 65535`},
		{"endpoint host", testMinimal + "Endpoint = http://vpn.example:1\n", `t.conf:5: Endpoint: "http://vpn.example:1" is not host:port or [IPv6 address]:port`},
		{"endpoint name", testMinimal + "Endpoint = vpn example:1\n", `t.conf:5: Endpoint: "vpn example:1": the host is neither an address nor a name`},
		{"endpoint number", testMinimal + "Endpoint = 192.0.2:1\n", `t.conf:5: Endpoint: "192.0.2:1": the host is neither an address nor a name`},
		{"endpoint empty host", testMinimal + "Endpoint = :1\n", `t.conf:5: Endpoint: ":1": the host is neither an address nor a name`},
		{"endpoint empty", testMinimal + "Endpoint =\n", `t.conf:5: Endpoint: "" is not host:port or [IPv6 address]:port`},
		{"endpoint unspecified", testMinimal + "Endpoint = 0.0.0.0:1\n", "t.conf:5: Endpoint: 0.0.0.0 cannot be reached: it is no host's address"},
		{"endpoint zone is a key", testMinimal + "Endpoint = [fe80::1%" + testPrivate + "]:1\n", "t.conf:5: Endpoint: the value (not repeated here: it could be a key): the host is neither an address nor a name"},
		{"DNS zone is a key", "[Interface]\nDNS = fe80::1%" + testPrivate + "\n", "t.conf:2: DNS: the value (not repeated here: it could be a key) is not an IP address"},
		{"endpoint is a key", testMinimal + "Endpoint = " + testPrivate + "\n", "t.conf:5: Endpoint: the value (not repeated here: it could be a key) is not host:port or [IPv6 address]:port"},

		{"too many peers", testInterface + manyPeers(maxPeers+1), fmt.Sprintf("t.conf:%d: [Peer]: more than 1024 peers", 2+2*maxPeers+1)},
		{"too many addresses", "[Interface]\nAddress = " + strings.Repeat("10.0.0.1,", maxAddresses+1) + "\n", "t.conf:2: Address: more than 64 addresses"},
		{"too many resolvers", "[Interface]\nDNS = " + strings.Repeat("a 10.0.0.1,", maxDNS/2+1) + "\n", "t.conf:2: DNS: more than 64 entries"},
		{"too many hooks", "[Interface]\n" + strings.Repeat("PreUp = a\nPostDown = b\n", maxHooks/2+1), "t.conf:258: PreUp: more than 256 commands"},
		{"too many prefixes", testMinimal + "AllowedIPs = " + strings.Repeat("10.0.0.1,", maxPrefixes+1) + "\n", "t.conf:5: AllowedIPs: more than 16384 prefixes in one file"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f, err := Parse("t.conf", strings.NewReader(tt.text))
			var e *Error
			if !errors.As(err, &e) {
				t.Fatalf("got %v, %v, want an *Error", f, err)
			}
			if got := err.Error(); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}

func TestParseReadError(t *testing.T) {
	_, err := Parse("t.conf", iotest.ErrReader(io.ErrUnexpectedEOF))
	if !errors.Is(err, io.ErrUnexpectedEOF) || err.Error() != "t.conf: unexpected EOF" {
		t.Errorf("got %v", err)
	}
}

func TestParseAccepts(t *testing.T) {
	type want struct {
		in   Interface // without PrivateKey
		peer router.Peer
	}
	for _, tt := range []struct {
		name, text string
		want       want
	}{
		{"minimal", testMinimal, want{}},
		{"BOM and CRLF", "\ufeff" + strings.ReplaceAll(testMinimal+"Endpoint = a.example:1\n", "\n", "\r\n"),
			want{peer: router.Peer{Endpoint: "a.example:1"}}},
		{"no spaces, no last newline", "[interface]\nprivatekey=" + testPrivate + "\n[PEER]\nPUBLICKEY=" + testPublic + "\npersistentkeepalive=25",
			want{peer: router.Peer{Keepalive: 25 * time.Second}}},
		{"comments", "#[Peer]\n[Interface]# [Peer]\nPrivateKey = " + testPrivate + "# = x\n [ Peer ] # a\n\tPublicKey\t=\t" + testPublic + "\t#\n#", want{}},
		{"peer before interface", testPeer + testInterface, want{}},
		{"interface twice", testInterface + "DNS = 10.0.0.1\n" + testPeer + "[Interface]\nDNS = 10.0.0.2\nMTU = 1280\n",
			want{in: Interface{MTU: 1280, DNS: addrs("10.0.0.1", "10.0.0.2")}}},
		{"off", testInterface + "FwMark = OFF\nTable = Off\nSaveConfig = False\n" + testPeer + "PersistentKeepalive = off\n",
			want{in: Interface{Table: "off"}}},
		{"numbers", testInterface + "FwMark = 0xCA6C\nTable = 0x10\nListenPort = 65535\nMTU = 0\n" + testPeer + "PersistentKeepalive = 65535\n",
			want{in: Interface{FwMark: 51820, Table: "16", ListenPort: 65535}, peer: router.Peer{Keepalive: 65535 * time.Second}}},
		{"decimal with zeros", testInterface + "FwMark = 010\n" + testPeer, want{in: Interface{FwMark: 10}}},
		{"empty lists and options", testInterface + "DNS =\nAddress = ,\nMTU =\nTable =\nPostUp =\n" + testPeer + "AllowedIPs =\n", want{}},
		{"search domains", testInterface + "DNS = ~., ~corp.example a_b.example\n" + testPeer,
			want{in: Interface{Search: []string{"~.", "~corp.example", "a_b.example"}}}},
		{"addresses", testInterface + "Address = 10.0.0.2,fd00::2/64 10.0.0.3/24\nAddress=fd00::3\n" + testPeer, want{in: Interface{Addresses: []Address{
			{netip.MustParsePrefix("10.0.0.2/32"), 3}, {netip.MustParsePrefix("fd00::2/64"), 3},
			{netip.MustParsePrefix("10.0.0.3/24"), 3}, {netip.MustParsePrefix("fd00::3/128"), 4},
		}}}},
		{"hooks keep their comments", testInterface + "PostUp = echo '#' = %i # x\n" + testPeer,
			want{in: Interface{PostUp: []Hook{{"echo '#' = %i # x", 3}}}}},
		{"allowed IPs", testMinimal + "AllowedIPs = 10.1.2.3/8, 10.0.0.0/8 192.0.2.1\nAllowedIPs = ::0/0,,2001:db8::1\n",
			want{peer: router.Peer{AllowedIPs: prefixes("10.0.0.0/8", "192.0.2.1/32", "::/0", "2001:db8::1/128")}}},
		{"preshared key of zeros is none", testMinimal + "PresharedKey = " + zeroKey + "\n", want{}},
		{"preshared key", testMinimal + "PresharedKey = " + testPreshared + "\n", want{peer: router.Peer{PresharedKey: mustKey(testPreshared)}}},
		{"endpoint IPv6", testMinimal + "Endpoint = [2001:DB8::0:1]:051820\n", want{peer: router.Peer{Endpoint: "[2001:db8::1]:51820"}}},
		{"endpoint zone", testMinimal + "Endpoint = [fe80::1%eth0]:51820\n", want{peer: router.Peer{Endpoint: "[fe80::1%eth0]:51820"}}},
		{"endpoint mapped", testMinimal + "Endpoint = [::ffff:192.0.2.1]:51820\n", want{peer: router.Peer{Endpoint: "192.0.2.1:51820"}}},
		{"endpoint rooted name", testMinimal + "Endpoint = vpn_1.example.:51820\n", want{peer: router.Peer{Endpoint: "vpn_1.example.:51820"}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := parse(t, "t.conf", tt.text)
			if f.Interface.PrivateKey != mustKey(testPrivate) || len(f.Peers) != 1 || f.Peers[0].PublicKey != mustKey(testPublic) {
				t.Fatal("a key is missing")
			}
			got := want{f.Interface, f.Peers[0].Peer}
			got.in.PrivateKey, got.peer.PublicKey = router.Key{}, router.Key{}
			if len(got.peer.AllowedIPs) == 0 {
				got.peer.AllowedIPs = nil
			}
			opts := []cmp.Option{
				cmp.AllowUnexported(want{}),
				cmp.Comparer(func(a, b netip.Addr) bool { return a == b }),
				cmp.Comparer(func(a, b netip.Prefix) bool { return a == b }),
			}
			if diff := cmp.Diff(tt.want, got, opts...); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestParseWarnings(t *testing.T) {
	const complete = testMinimal + "Endpoint = 192.0.2.1:1\nAllowedIPs = 10.0.0.0/8\n" // lines 1 to 6
	for _, tt := range []struct {
		name, text string
		want       []string
	}{
		{"none", complete, nil},
		{"defaults are acted on", complete + "[Interface]\nTable = auto\nFwMark = off\nSaveConfig = false\n", nil},
		{"the file is never written", complete + "[Interface]\nDNS = a.example\nTable = off\nFwMark = 1\nSaveConfig = true\nPostUp = a\n", []string{
			"t.conf:11: SaveConfig: ignored: files are never written",
		}},
		{"learned, and no prefixes", testMinimal, []string{
			"t.conf:3: AllowedIPs: none: nothing is sent to this peer",
			"t.conf:3: Endpoint: none: nothing can be sent until the peer has sent something",
		}},
		{"one of two peers is learned", complete + "[Peer]\nPublicKey = " + testPublic2 + "\nAllowedIPs = 10.0.0.1\n", nil},
		{"host bits", complete + "AllowedIPs = 192.0.2.1/24 192.0.2.0/25 192.0.2.1/25 192.0.2.3/31\n", []string{
			"t.conf:7: AllowedIPs: 192.0.2.1/24 has host bits: read as 192.0.2.0/24 (and 2 more)",
		}},
		{"the last peer wins", complete + "AllowedIPs = ::/0, 192.0.2.0/24\n[Peer]\nPublicKey = " + testPublic2 + "\nAllowedIPs = ::/0, 10.0.0.9/8, 192.0.2.0/25\n", []string{
			"t.conf:3: AllowedIPs: 10.0.0.0/8 (and 1 more) given again to the [Peer] in line 8: the last one wins, this one loses it",
			"t.conf:10: AllowedIPs: 10.0.0.9/8 has host bits: read as 10.0.0.0/8",
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var got []string
			for _, w := range parse(t, "t.conf", tt.text).Warnings {
				got = append(got, w.String())
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestLastPeerWins: the prefixes that a peer keeps are those that WireGuard
// leaves it.
func TestLastPeerWins(t *testing.T) {
	f := parse(t, "t.conf", testMinimal+"AllowedIPs = 10.0.0.0/8, 10.1.0.0/16\n"+
		"[Peer]\nPublicKey = "+testPublic2+"\nAllowedIPs = 10.0.0.0/8, 10.0.0.0/8\n")
	want := [][]netip.Prefix{prefixes("10.1.0.0/16"), prefixes("10.0.0.0/8")}
	got := [][]netip.Prefix{f.Peers[0].AllowedIPs, f.Peers[1].AllowedIPs}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func parse(t *testing.T, path, text string) *File {
	t.Helper()
	f, err := Parse(path, strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func mustKey(s string) router.Key {
	k, err := router.ParseKey(s)
	if err != nil {
		panic(err)
	}
	return k
}

func addrs(ss ...string) (as []netip.Addr) {
	for _, s := range ss {
		as = append(as, netip.MustParseAddr(s))
	}
	return as
}

func prefixes(ss ...string) (ps []netip.Prefix) {
	for _, s := range ss {
		ps = append(ps, netip.MustParsePrefix(s))
	}
	return ps
}

// manyPeers returns n peers of two lines each.
func manyPeers(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "[Peer]\nPublicKey = %s\n", router.Key{1, byte(i), byte(i >> 8)}.Encode())
	}
	return b.String()
}
