// Package firewall keeps one nftables table per TUN, family inet: the kill
// switch, the mark of our own datagrams, and the defence of the tunnel
// addresses.
//
//	prerouting   raw     guard    to a tunnel address, from elsewhere: drop
//	prerouting   mangle  restore  UDP of a connection with our mark: mark it
//	output       filter  output   ┐ the kill switch: policy drop;
//	forward      filter  forward  ┘ both jump to "outside"
//	postrouting  mangle  save     UDP with our mark: mark its connection
//
// # The kill switch
//
// This host may send anything by lo and by the TUN; with the mark, UDP to exactly
// the endpoints, and port 53 to exactly the resolvers, and likewise each other
// instance; what a link needs to work at all (DHCP to all servers, neighbour
// discovery, multicast listener reports); and, but for DNS, what Config opens: the
// LAN, Exclude, the TUNs of others.
//
// What it forwards leaves by the TUN or to what Config opens. Answers, to who
// began the connection, come back from the TUN and from Exclude; from the LAN
// only to the LAN.
//
// For output there is no such rule: a packet is not accepted for being part of a
// connection, because the answer to one from the internet would leave in clear.
//
// DNS is ports 53 and 853 (RFC 7858, RFC 9250): a resolver of the LAN learns
// every name, encrypted or not, and systems try 853 there by themselves.
//
// A program that is refused is told at once, by an ICMP error, which does not
// leave the host: it goes to the source of the packet, and where that is not this
// host's the error meets the same rules. (A TCP socket of IPv6 hears of it when it
// sends its SYN again, after a second.) What is forwarded is dropped without a
// word, since the word would have to leave.
//
// # The tunnel addresses and the mark
//
// Whoever shares a link with this host can send packets to its tunnel address,
// and tell from the answers what goes on in the tunnel (CVE-2019-14899). They are
// dropped before they leave a trace. Who asks for the address by ARP is another
// matter: the family inet does not see ARP; the sysctl arp_ignore does.
//
// The mark is kept in the connection as wg-quick keeps it: answers to our
// datagrams get it too, without which rp_filter=1 drops them. Marks of others
// stay as they are.
//
// # Whose the table is
//
// Every change is one transaction: there is no moment without rules. Where the
// kernel can (Linux 6.9), the table has the flags owner and persist: only the
// socket of its Firewall may change it, "nft flush ruleset" passes it by, and it
// stays when the socket closes, however the process ends; the next Firewall takes
// it over, or removes it. Elsewhere anybody may change it, and [Firewall.Watch]
// tells.
//
// Linux only so far. Elsewhere every function fails with an error that wraps
// errors.ErrUnsupported.
package firewall
