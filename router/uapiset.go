package router

import (
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A uapiSet is one line of a "set" operation, parsed. It may hold a key: errors
// say the line's name only.
type uapiSet struct {
	key    string
	peer   Key          // that it is about; zero: the device
	secret Key          // of keys
	number uint32       // of listen_port, fwmark, persistent_keepalive_interval
	prefix netip.Prefix // of allowed_ip
	minus  bool         // of allowed_ip: take it away
	text   string       // of endpoint
}

// parseUAPISet parses a line, of a peer or of the device itself.
func parseUAPISet(line string, inPeer bool) (uapiSet, error) {
	key, value, ok := strings.Cut(line, "=")
	s := uapiSet{key: key}
	if !ok {
		return s, errors.New("a line without =")
	}
	var err error
	switch {
	case key == "public_key":
		err = s.setKey(value)
	case inPeer:
		err = s.setOfPeer(value)
	default:
		err = s.setOfDevice(value)
	}
	return s, err
}

func (s *uapiSet) setOfDevice(value string) error {
	switch s.key {
	case "private_key":
		return s.setKey(value)
	case "listen_port":
		return s.setNumber(value, 16)
	case "fwmark":
		return s.setNumber(value, 32)
	case "replace_peers":
		return s.only(value, "true")
	}
	return unknownKey(s.key, "device")
}

func (s *uapiSet) setOfPeer(value string) error {
	switch s.key {
	case "remove", "update_only", "replace_allowed_ips":
		return s.only(value, "true")
	case "preshared_key":
		return s.setKey(value)
	case "persistent_keepalive_interval":
		return s.setNumber(value, 16)
	case "endpoint":
		at, err := netip.ParseAddrPort(value)
		if err != nil || at.Port() == 0 || at.Addr().Zone() != "" {
			return s.want("address:port")
		}
		s.text = netip.AddrPortFrom(at.Addr().Unmap(), at.Port()).String()
		return nil
	case "allowed_ip":
		text, minus := strings.CutPrefix(value, "-")
		p, err := netip.ParsePrefix(text)
		if err != nil || p.Addr().Is4In6() {
			return s.want("a prefix")
		}
		s.prefix, s.minus = p.Masked(), minus
		return nil
	case "protocol_version":
		return s.only(value, "1")
	}
	return unknownKey(s.key, "peer")
}

// want is the error of a value that is none of those. It does not repeat it.
func (s *uapiSet) want(what string) error { return fmt.Errorf("%s: want %s", s.key, what) }

func (s *uapiSet) only(value, wanted string) error {
	if value != wanted {
		return s.want(wanted)
	}
	return nil
}

func (s *uapiSet) setNumber(value string, bits int) error {
	n, err := strconv.ParseUint(value, 10, bits)
	if err != nil {
		return s.want(fmt.Sprintf("a number of %d bits", bits))
	}
	s.number = uint32(n)
	return nil
}

func (s *uapiSet) setKey(value string) error {
	b, err := hex.DecodeString(value)
	if err != nil || len(b) != KeySize {
		return s.want("64 hexadecimal digits")
	}
	s.secret = Key(b)
	return nil
}

// unknownKey is the error about a line of an unknown key. It repeats the key only if
// that looks like one: else it may be a secret, whose base64 ends with "=".
func unknownKey(key, of string) error {
	other := func(c rune) bool { return c != '_' && (c < 'a' || c > 'z') }
	if key == "" || len(key) > 32 || strings.ContainsFunc(key, other) {
		return fmt.Errorf("a line whose key is none of a %s", of)
	}
	return fmt.Errorf("%q is no key of a %s", key, of)
}

// apply changes a hop as the line says. made are the peers that the operation
// added.
func (s *uapiSet) apply(h *Hop, made map[Key]bool) error {
	switch s.key {
	case "private_key":
		h.PrivateKey = s.secret
		return nil
	case "listen_port":
		if h.Via != "" && uint16(s.number) != h.ListenPort {
			return &UAPIError{uapiRefused, errors.New("listen_port: its link is a socket inside " + h.Via + ": the port is chosen so that no program's traffic meets it")}
		}
		h.ListenPort = uint16(s.number)
		return nil
	case "fwmark":
		h.FwMark = s.number
		return nil
	case "replace_peers":
		h.Peers = nil
		return nil
	}
	i := h.peerOf(s.peer)
	if i < 0 {
		if s.key != "public_key" || s.peer.IsZero() {
			return nil // of a peer that was removed, or is not to be made
		}
		h.Peers = append(h.Peers, Peer{PublicKey: s.peer})
		i, made[s.peer] = len(h.Peers)-1, true
	}
	peer := &h.Peers[i]
	switch s.key {
	case "remove":
		h.Peers = slices.Delete(h.Peers, i, i+1)
	case "update_only":
		if made[s.peer] {
			h.Peers = slices.Delete(h.Peers, i, i+1)
		}
	case "preshared_key":
		peer.PresharedKey = s.secret
	case "endpoint":
		peer.Endpoint = s.text
	case "persistent_keepalive_interval":
		peer.Keepalive = time.Duration(s.number) * time.Second
	case "replace_allowed_ips":
		peer.AllowedIPs = nil
	case "allowed_ip":
		if s.minus {
			peer.AllowedIPs = deletePrefix(peer.AllowedIPs, s.prefix)
		} else if !slices.Contains(peer.AllowedIPs, s.prefix) {
			h.takePrefix(s.prefix) // WireGuard: a prefix has one owner
			peer.AllowedIPs = append(peer.AllowedIPs, s.prefix)
		}
	}
	return nil
}

func deletePrefix(from []netip.Prefix, p netip.Prefix) []netip.Prefix {
	return slices.DeleteFunc(from, func(q netip.Prefix) bool { return p == q })
}
