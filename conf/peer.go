package conf

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"multihop/router"
)

// peerFields returns the keys of [Peer].
func peerFields() []field {
	return []field{
		{"PublicKey", true, (*parser).setPublicKey},
		{"PresharedKey", true, (*parser).setPresharedKey},
		{"Endpoint", true, (*parser).setEndpoint},
		{"AllowedIPs", false, (*parser).addAllowedIPs},
		{"PersistentKeepalive", true, (*parser).setKeepalive},
	}
}

func (p *parser) setPublicKey(v value) (err error) {
	p.peer().PublicKey, err = parseKey(v.text)
	return err
}

// setPresharedKey accepts a key of zeros, WireGuard's way to say "none".
func (p *parser) setPresharedKey(v value) (err error) {
	p.peer().PresharedKey, err = parseKey(v.text)
	if errors.Is(err, errZeroKey) {
		return nil
	}
	return err
}

func (p *parser) setEndpoint(v value) (err error) {
	p.peer().Endpoint, err = parseEndpoint(v.text)
	return err
}

// addAllowedIPs masks host bits, as wg does, and says so, as wg does.
func (p *parser) addAllowedIPs(v value) error {
	peer := p.peer()
	masked, first := 0, ""
	for _, s := range list(v.text) {
		prefix, err := parsePrefix(s)
		if err != nil {
			return err
		}
		if p.prefixes++; p.prefixes > maxPrefixes {
			return fmt.Errorf("more than %d prefixes in one file", maxPrefixes)
		}
		if prefix != prefix.Masked() {
			if masked++; masked == 1 {
				first = fmt.Sprintf("%s has host bits: read as %s", prefix, prefix.Masked())
			}
		}
		peer.AllowedIPs = append(peer.AllowedIPs, prefix.Masked())
	}
	if masked > 0 {
		p.warn(p.line, "AllowedIPs", "%s%s", first, andMore(masked-1))
	}
	return nil
}

func (p *parser) setKeepalive(v value) error {
	if strings.EqualFold(v.text, "off") {
		return nil
	}
	n, err := parseUint(v.text, 65535)
	if err != nil {
		return fmt.Errorf("%w (seconds), or off", err)
	}
	p.peer().Keepalive = time.Duration(n) * time.Second
	return nil
}

// finishPeers checks what only the last [Peer] of a hop shows.
func (p *parser) finishPeers() error {
	if len(p.file.Peers) == 0 {
		return &Error{File: p.path, Section: "Peer", Line: p.line, Err: errors.New("missing: there is nothing to connect to")}
	}
	if err := p.checkPublicKeys(); err != nil {
		return err
	}
	p.lastPeerWins()
	p.warnPeers()
	return nil
}

// checkPublicKeys fails if a peer has no public key, two have the same, or one
// has the hop's own: WireGuard would drop one of them without a word.
func (p *parser) checkPublicKeys() error {
	own := p.file.Interface.PrivateKey.Public()
	first := make(map[router.Key]int, len(p.file.Peers))
	for _, peer := range p.file.Peers {
		bad := func(err error) error {
			return &Error{File: p.path, Line: peer.Line, Section: "Peer", Key: "PublicKey", Err: err}
		}
		if peer.PublicKey.IsZero() {
			return bad(errors.New("missing: each [Peer] needs one"))
		}
		if peer.PublicKey == own {
			return bad(errors.New("belongs to the hop's own PrivateKey: it must be the relay's"))
		}
		if line, ok := first[peer.PublicKey]; ok {
			return bad(fmt.Errorf("the same as that of the [Peer] in line %d: make them one", line))
		}
		first[peer.PublicKey] = peer.Line
	}
	return nil
}

// lastPeerWins leaves each prefix to the last peer that lists it, once, as
// WireGuard does, and says which peers lost some.
func (p *parser) lastPeerWins() {
	peers := p.file.Peers
	owner := make(map[netip.Prefix]int)
	for i := range peers {
		for _, prefix := range peers[i].AllowedIPs {
			owner[prefix] = i
		}
	}
	for i := range peers {
		kept := make(map[netip.Prefix]bool)
		lost := []netip.Prefix(nil)
		peers[i].AllowedIPs = slices.DeleteFunc(peers[i].AllowedIPs, func(prefix netip.Prefix) bool {
			if owner[prefix] != i {
				lost = append(lost, prefix)
				return true
			}
			again := kept[prefix]
			kept[prefix] = true
			return again
		})
		if len(lost) > 0 {
			p.warn(peers[i].Line, "AllowedIPs", "%s%s given again to the [Peer] in line %d: the last one wins, this one loses it",
				lost[0], andMore(len(lost)-1), peers[owner[lost[0]]].Line)
		}
	}
}

// warnPeers says which peers get no packets, and a hop that must wait for its
// peers to speak first.
func (p *parser) warnPeers() {
	learned := true
	for _, peer := range p.file.Peers {
		learned = learned && peer.Endpoint == ""
		if len(peer.AllowedIPs) == 0 {
			p.warn(peer.Line, "AllowedIPs", "none: nothing is sent to this peer")
		}
	}
	if learned {
		p.warn(p.file.Peers[0].Line, "Endpoint", "none: nothing can be sent until the peer has sent something")
	}
}

// andMore says that a line stands for n further ones.
func andMore(n int) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf(" (and %d more)", n)
}
