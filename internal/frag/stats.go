package frag

// Stats counts fragments by what became of them:
//
//	In = Joined + Held + Duplicate + Malformed + Tiny + TooBig + Overlap + Timeout + Full
type Stats struct {
	In     uint64 // given to Add
	Joined uint64 // parts of packets that were returned whole

	// Dropped, at once or after they were held.
	Duplicate, Malformed, Tiny, TooBig, Overlap, Timeout, Full uint64

	Wholes uint64 // packets returned

	// Now:
	Held      int // fragments waiting for others
	Datagrams int // unfinished packets, and discarded ones until their timeout
	Bytes     int // of buffers, idle ones too
}

// Stats returns the counts since r was made.
func (r *Reassembler) Stats() Stats {
	r.mu.Lock()
	defer r.mu.Unlock()
	return Stats{
		In:        r.in,
		Joined:    r.joined,
		Duplicate: r.drops[Duplicate],
		Malformed: r.drops[Malformed],
		Tiny:      r.drops[Tiny],
		TooBig:    r.drops[TooBig],
		Overlap:   r.drops[Overlap],
		Timeout:   r.drops[Timeout],
		Full:      r.drops[Full],
		Wholes:    r.wholes,
		Held:      r.held,
		Datagrams: len(r.open),
		Bytes:     r.buffers.used + r.buffers.spare,
	}
}
