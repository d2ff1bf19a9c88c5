// Package uapi serves WireGuard's cross-platform userspace API for one hop, so
// that "wg show TUN.HOP", showconf, set, setconf and syncconf work.
//
//	get=1, blank line         the hop's configuration and state, errno=0
//	set=1, lines, blank line  errno=0 once they are in force, or why they are not
//
// What a set may change is the hop's business: package router refuses what would
// break the tree. As with wireguard-go, the answer to "get" holds the private key,
// which "wg showconf" needs; so the socket is for root, or the user who runs
// multihop, only.
//
// wg prints the first 15 bytes of a longer name, but finds it by the whole.
//
// The protocol: https://www.wireguard.com/xplatform/
package uapi
