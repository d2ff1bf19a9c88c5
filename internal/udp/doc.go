// Package udp is the transport of a hop on the host's network: a conn.Bind of
// UDP sockets, one of each family on the same port.
//
// On Linux and Android it is our own. As wireguard-go's does, it sends and
// receives batches (sendmmsg, recvmmsg), lets the kernel cut one large datagram
// into many (UDP_SEGMENT) and join many into one (UDP_GRO; see udp(7)), and
// answers from the address that a peer wrote to (IP_PKTINFO, RFC 3542):
//
//	Send    ─▶ messages of up to 64 datagrams ─▶ sendmmsg
//	receive ◀─ split, the rest kept for the next call ◀─ recvmmsg
//
// What it does beside that:
//
//   - both families at the same time, to any mix of peers;
//   - no allocation per packet;
//   - [Options.Control] is called for each socket, whenever one is made;
//   - a batch larger than the route to the peer takes goes out all the same, in
//     fragments, and [Options.PathMTU] is told;
//   - a source address that has gone is forgotten by the Send that notices;
//   - joined datagrams of any size and number are split, never lost.
//
// Elsewhere it is wireguard-go's, kept to one family: see [New].
package udp
