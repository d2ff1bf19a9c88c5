package router

import (
	"errors"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"
)

// TestSetUAPI: what a set says is in force when it returns, as after an Apply,
// and the table agrees; what is refused changes nothing, and says why.
func TestSetUAPI(t *testing.T) {
	spare := fixedKey(9).Public()
	l := newLab(t, nil)
	l.cfg.Hops[0].Peers[0].AllowedIPs = append(everything[:0:0], everything...)
	l.start()
	far := farNet.Addr().Next()
	if _, ok := l.exchange(far, 10*time.Second); !ok {
		t.Fatal("no path")
	}
	busy, err := l.r.ListenUDP("entry", "udp4")
	must(t, err)
	defer func() { must(t, busy.Close()) }()
	entry, exit := Key(l.entry.PublicKey()).hex(), Key(l.exit.PublicKey()).hex()
	for _, tt := range []struct {
		name, hop, set string
		code           int64  // 0: it is done
		err            string // a part of why not
		check          func(t *testing.T)
	}{
		{"keepalive", "exit", "public_key=" + exit + "\npersistent_keepalive_interval=11\n", 0, "", func(t *testing.T) {
			if k := l.hop("exit").Peers[0].Keepalive; k != 11*time.Second {
				t.Errorf("keepalive %v", k)
			}
		}},
		{"nothing", "exit", "\n", 0, "", nil},
		{"AllowedIPs", "exit", "public_key=" + exit + "\nprotocol_version=1\nreplace_allowed_ips=true\nallowed_ip=198.51.100.0/24\nallowed_ip=2001:db8:f::1/48\nallowed_ip=10.0.0.0/8\nallowed_ip=-10.0.0.0/8\n", 0, "", func(t *testing.T) {
			if a := l.hop("exit").Peers[0].AllowedIPs; len(a) != 2 || a[0] != farNet || a[1] != farNet6 {
				t.Errorf("%v", a)
			}
		}},
		{"a peer more, which takes a prefix", "entry", "public_key=" + spare.hex() + "\nendpoint=192.0.2.77:51820\nallowed_ip=192.0.2.64/26\n", 0, "", func(t *testing.T) {
			p := l.hop("entry").Peers
			if len(p) != 2 || p[1].PublicKey != spare.Encode() || p[1].Endpoint != "192.0.2.77:51820" {
				t.Errorf("%+v", p)
			}
		}},
		{"and it goes", "entry", "public_key=" + spare.hex() + "\nremove=true\nallowed_ip=10.0.0.0/8\n", 0, "", func(t *testing.T) {
			if p := l.hop("entry").Peers; len(p) != 1 {
				t.Errorf("%+v", p)
			}
		}},
		{"update of nobody", "entry", "public_key=" + spare.hex() + "\nupdate_only=true\nallowed_ip=10.0.0.0/8\n", 0, "", func(t *testing.T) {
			if p := l.hop("entry").Peers; len(p) != 1 {
				t.Errorf("%+v", p)
			}
		}},
		{"mark", "entry", "fwmark=7\n", 0, "", func(t *testing.T) {
			if !strings.Contains(l.uapiOf("entry"), "fwmark=7\n") {
				t.Error(l.uapiOf("entry"))
			}
		}},
		{"port", "entry", "listen_port=40010\n", 0, "", func(t *testing.T) {
			if p := l.hop("entry").ListenPort; p != 40010 {
				t.Errorf("port %d", p)
			}
		}},
		{"all at once, as wg setconf does", "exit", "private_key=" + l.cfg.Hops[1].PrivateKey.hex() + "\nreplace_peers=true\npublic_key=" + exit +
			"\npreshared_key=" + l.cfg.Hops[1].Peers[0].PresharedKey.hex() + "\nendpoint=" + l.exit.Endpoint().String() + "\nreplace_allowed_ips=true\nallowed_ip=0.0.0.0/0\nallowed_ip=::/0\n\nignored", 0, "", nil},

		{"no such hop", "elsewhere", "fwmark=1\n", -19, "there is no such hop", nil},
		{"no line", "exit", "fwmark\n", -22, "a line without =", nil},
		{"unknown key", "exit", "colour=red\n", -22, `"colour" is no key of a device`, nil},
		{"unknown key of a peer", "exit", "public_key=" + exit + "\nfwmark=1\n", -22, `"fwmark" is no key of a peer`, nil},
		{"a secret alone", "exit", "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopq=\n", -22, "a line whose key is none of a device", nil},
		{"a secret alone, of a peer", "exit", "public_key=" + exit + "\nabcdEFGH0123456789+/=\n", -22, "a line whose key is none of a peer", nil},
		{"half a key", "exit", "private_key=abcd\n", -22, "private_key: want 64 hexadecimal digits", nil},
		{"no port", "entry", "listen_port=65536\n", -22, "listen_port: want a number of 16 bits", nil},
		{"no prefix", "exit", "public_key=" + exit + "\nallowed_ip=here\n", -22, "allowed_ip: want a prefix", nil},
		{"a name", "exit", "public_key=" + exit + "\nendpoint=exit.example:1\n", -22, "endpoint: want address:port", nil},
		{"replace_peers=false", "exit", "replace_peers=false\n", -22, "replace_peers: want true", nil},
		{"port of a link", "exit", "listen_port=4000\n", -1, "listen_port: its link is a socket inside entry", nil},
		{"mark of a carried hop", "exit", "fwmark=1\n", -1, "only a hop on the host's network has a mark", nil},
		{"no peer left", "exit", "replace_peers=true\n", -1, "a hop needs at least one peer", nil},
		{"the peer that carries", "entry", "public_key=" + entry + "\nremove=true\n", -1, "which would drop what is sent there", nil},
		{"the prefix that carries", "entry", "public_key=" + entry + "\nreplace_allowed_ips=true\nallowed_ip=203.0.113.0/24\n", -1, "which would drop what is sent there", nil},
		{"the prefix of a route", "exit", "public_key=" + exit + "\nreplace_allowed_ips=true\nallowed_ip=::/0\n", -1, "198.51.100.0/24 is outside the hop's AllowedIPs", nil},
		{"an endpoint out of reach", "exit", "public_key=" + exit + "\nendpoint=[2001:db8::1]:1\n", 0, "", nil}, // within ::/0
	} {
		t.Run(tt.name, func(t *testing.T) {
			before := l.uapiOf("entry") + l.uapiOf("exit")
			err := l.r.SetUAPI(tt.hop, strings.NewReader(tt.set))
			if tt.code == 0 {
				must(t, err)
				if tt.check != nil {
					tt.check(t)
				}
				return
			}
			var coded *UAPIError
			if !errors.As(err, &coded) || coded.ErrorCode() != tt.code || !strings.Contains(err.Error(), tt.err) {
				t.Fatalf("got %v, want %d: %s", err, tt.code, tt.err)
			}
			if strings.Contains(err.Error(), "abcd") {
				t.Error("the error repeats a key")
			}
			if after := l.uapiOf("entry") + l.uapiOf("exit"); stable(after) != stable(before) {
				t.Errorf("it changed\n%s\nto\n%s", before, after)
			}
		})
	}
	must(t, l.r.SetUAPI("exit", strings.NewReader("public_key="+exit+"\nendpoint="+l.exit.Endpoint().String()+"\n")))
	if src, ok := l.exchange(far, 10*time.Second); !ok || src != exitTunnel {
		t.Fatalf("afterwards the host saw %v (%v)", src, ok)
	}
	t.Run("a port in use", func(t *testing.T) {
		c, err := net.ListenUDP("udp", nil)
		must(t, err)
		defer c.Close()
		l := newLab(t, nil)
		l.r.opts.Bind = nil // the system's sockets
		l.start()
		l.ready()
		port := netip.MustParseAddrPort(c.LocalAddr().String()).Port()
		err = l.r.SetUAPI("entry", strings.NewReader("listen_port="+itoa(port)+"\n"))
		var coded *UAPIError
		if !errors.As(err, &coded) || coded.Code != -98 {
			t.Errorf("got %v", err)
		}
		if h := l.hop("entry"); h.Down {
			t.Errorf("%+v", h)
		}
	})
}

// TestSetUAPIStandby: a set on a hop of a group that does not serve is held to what
// it may come to carry: where names lead, and where peers roamed to.
func TestSetUAPIStandby(t *testing.T) {
	p := newPair(t, false)
	names := new(nameserver)
	names.set("exit.example", exitAddr)
	p.r.opts.Resolve = names.resolve
	p.cfg.Hops[1].Peers[0].Endpoint = "exit.example:51820"
	p.start()
	p.through(t, farNet.Addr().Next(), exitTunnel, 10*time.Second)
	peer := "public_key=" + Key(p.entry2.PublicKey()).hex() + "\n"
	for _, tt := range []struct{ name, set, err string }{
		{"its endpoint is left out", "replace_allowed_ips=true\nallowed_ip=203.0.113.0/24\nallowed_ip=" + siblingAddr.String() + "/32\n",
			exitAddr.String() + " is outside the AllowedIPs of its carrier entry2"},
		{"it is in", "replace_allowed_ips=true\nallowed_ip=203.0.113.0/24\nallowed_ip=" + siblingAddr.String() + "/32\nallowed_ip=" + exitAddr.String() + "/32\n", ""},
	} {
		err := p.r.SetUAPI("entry2", strings.NewReader(peer+tt.set))
		if tt.err == "" && err != nil || tt.err != "" && (err == nil || !strings.Contains(err.Error(), tt.err)) {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.err)
		}
	}
}

func itoa(n uint16) string {
	return strings.TrimPrefix(netip.AddrPortFrom(netip.IPv4Unspecified(), n).String(), "0.0.0.0:")
}

// stable returns the lines of a UAPI answer that a set may change.
func stable(answer string) string {
	var b strings.Builder
	for line := range strings.Lines(answer) {
		if !strings.HasPrefix(line, "tx_") && !strings.HasPrefix(line, "rx_") && !strings.HasPrefix(line, "last_") {
			b.WriteString(line)
		}
	}
	return b.String()
}

// FuzzUAPISet: whatever a set says, what is refused says so without a key, and
// what is accepted makes a configuration that compiles or is refused.
func FuzzUAPISet(f *testing.F) {
	base := chain()
	key := strings.Repeat("ab", 32)
	for _, seed := range []string{
		"private_key=" + key + "\nlisten_port=1\nfwmark=2\nreplace_peers=true\n",
		"public_key=" + key + "\npreshared_key=" + key + "\nendpoint=192.0.2.1:1\nallowed_ip=10.0.0.0/8\nallowed_ip=-10.0.0.0/8\n",
		"public_key=" + key + "\nupdate_only=true\nremove=true\nreplace_allowed_ips=true\npersistent_keepalive_interval=25\nprotocol_version=1\n",
		"endpoint=[fe80::1%eth0]:1\n", "=\n", "private_key=" + key[:62] + "\n",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, set string) {
		sets, err := readUAPISet(strings.NewReader(set))
		if err != nil {
			var coded *UAPIError
			if !errors.As(err, &coded) || coded.Code >= 0 {
				t.Fatalf("%v", err)
			}
			return
		}
		cfg := *cloneConfig(base)
		h := &cfg.Hops[0]
		made := make(map[Key]bool)
		for i := range sets {
			if err := sets[i].apply(h, made); err != nil {
				return
			}
		}
		for i, p := range h.Peers {
			if h.peerOf(p.PublicKey) != i {
				t.Fatalf("a peer is there twice: %q", set)
			}
			for _, a := range p.AllowedIPs {
				if a != a.Masked() || !a.IsValid() {
					t.Fatalf("prefix %v", a)
				}
			}
		}
		_, _ = Compile(cfg)
	})
}
