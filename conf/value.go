package conf

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"

	"multihop/router"
)

var errZeroKey = errors.New("all zeros: not a key")

// list splits a value on commas and spaces.
func list(s string) []string {
	return strings.FieldsFunc(s, func(r rune) bool { return r == ',' || r == ' ' || r == '\t' })
}

// parseKey parses a key that must not be zero. Its errors never repeat s.
func parseKey(s string) (router.Key, error) {
	k, err := router.ParseKey(s)
	if err != nil {
		return router.Key{}, err
	}
	if k.IsZero() {
		return router.Key{}, errZeroKey
	}
	return k, nil
}

// parseUint parses a decimal number, or a hexadecimal one that starts with 0x.
func parseUint(s string, limit uint64) (uint64, error) {
	digits, base := s, 10
	if rest, ok := strings.CutPrefix(strings.ToLower(s), "0x"); ok {
		digits, base = rest, 16
	}
	n, err := strconv.ParseUint(digits, base, 64)
	if err != nil || n > limit {
		return 0, fmt.Errorf("%s is not a number from 0 to %d", shown(s), limit)
	}
	return n, nil
}

// parseAddr parses an address. A zone must be an interface's name.
func parseAddr(s string) (netip.Addr, error) {
	a, err := netip.ParseAddr(s)
	if err != nil {
		return netip.Addr{}, err
	}
	if z := a.Zone(); len(z) > 15 || strings.TrimFunc(z, isNameChar) != "" {
		return netip.Addr{}, errors.New("the zone is no interface's name")
	}
	return a, nil
}

// parsePrefix parses an address, or an address and a prefix length, and keeps
// the host bits. An address alone is a prefix of its full length.
func parsePrefix(s string) (netip.Prefix, error) {
	var prefix netip.Prefix
	var err error
	if strings.Contains(s, "/") {
		prefix, err = netip.ParsePrefix(s)
	} else {
		var a netip.Addr
		a, err = netip.ParseAddr(s)
		prefix = netip.PrefixFrom(a, a.BitLen()) // drops a zone
	}
	if err != nil || strings.Contains(s, "%") {
		return netip.Prefix{}, fmt.Errorf("%s is not an IP prefix: want one such as 10.0.0.0/8 or fd00::1/128", shown(s))
	}
	if prefix.Addr().Is4In6() {
		return netip.Prefix{}, fmt.Errorf("%s is an IPv4 address written as IPv6: write it as IPv4", shown(s))
	}
	return prefix, nil
}

// parseEndpoint checks host:port or [IPv6 address]:port, and returns it in the
// form of net.JoinHostPort.
func parseEndpoint(s string) (string, error) {
	if a, err := parseAddr(s); err == nil {
		if a.Is6() {
			s = "[" + s + "]"
		}
		return "", fmt.Errorf("no port: want %s:PORT, often %s:51820", s, s)
	}
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		if i := strings.LastIndexByte(s, ':'); i >= 0 {
			if a, err := parseAddr(s[:i]); err == nil && a.Is6() {
				return "", fmt.Errorf("an IPv6 address needs brackets: [%s]%s", a, shownPort(s[i:]))
			}
		}
		return "", fmt.Errorf("%s is not host:port or [IPv6 address]:port", shown(s))
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || n == 0 {
		return "", fmt.Errorf("%s: the port must be a number from 1 to 65535", shown(s))
	}
	if a, err := parseAddr(host); err == nil {
		a = a.Unmap()
		if a.IsUnspecified() || a.IsMulticast() {
			return "", fmt.Errorf("%s cannot be reached: it is no host's address", a)
		}
		host = a.String()
	} else if !isName(host) || strings.Trim(host, "0123456789.") == "" {
		return "", fmt.Errorf("%s: the host is neither an address nor a name", shown(s))
	}
	return net.JoinHostPort(host, strconv.FormatUint(n, 10)), nil
}

// shownPort returns ":port", or a placeholder for what is not one.
func shownPort(s string) string {
	if _, err := strconv.ParseUint(s[1:], 10, 16); err != nil {
		return ":PORT"
	}
	return s
}

// isName reports whether s can be a domain name: RFC 1123, and underscores.
// The root, ".", is one.
func isName(s string) bool {
	if s == "" || len(s) > 254 {
		return false
	}
	s = strings.TrimSuffix(s, ".")
	if s == "" {
		return true
	}
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || len(label) > 63 {
			return false
		}
		for _, r := range label {
			if !isAlnum(r) && r != '-' && r != '_' {
				return false
			}
		}
	}
	return true
}
