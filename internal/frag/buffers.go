package frag

// classes is the number of sizes that buffers come in. With more, a sender of
// fragments at all offsets could have most of them made anew: what is evicted
// must fit what comes.
const classes = 2

// classSize is the size of class c: 2 KiB, for the datagrams of common links,
// or 72 KiB, which holds the longest packet in whole pages.
func classSize(c int) int {
	if c == 0 {
		return 2 << 10
	}
	return 72 << 10
}

// classFor is the smallest class for n bytes.
func classFor(n int) int {
	c := 0
	for classSize(c) < n {
		c++
	}
	return c
}

// buffers counts the buffers in use, and keeps some for reuse: all together
// they never exceed max bytes.
type buffers struct {
	max   int
	used  int // bytes that get gave out and nobody put or forgot
	spare int // bytes in free
	free  [classes][][]byte
}

// get returns a buffer of class c, or nil if there is no room for it.
func (s *buffers) get(c int) []byte {
	size := classSize(c)
	if l := s.free[c]; len(l) > 0 {
		b := l[len(l)-1]
		s.free[c] = l[:len(l)-1]
		s.spare -= size
		s.used += size
		return b
	}
	if s.used+size > s.max {
		return nil
	}
	for i := classes - 1; s.used+s.spare+size > s.max; {
		if l := s.free[i]; len(l) > 0 {
			l[len(l)-1] = nil
			s.free[i] = l[:len(l)-1]
			s.spare -= classSize(i)
		} else {
			i--
		}
	}
	s.used += size
	return make([]byte, size)
}

// forget stops counting b, which leaves.
func (s *buffers) forget(b []byte) { s.used -= cap(b) }

// keep takes b in for reuse, if it is a buffer of get's: whole, and while no
// more than an eighth of max lies idle.
func (s *buffers) keep(b []byte) {
	size := cap(b)
	if size == 0 || size > classSize(classes-1) {
		return
	}
	c := classFor(size)
	if size != classSize(c) || s.spare+size > s.max/8 || s.used+s.spare+size > s.max {
		return
	}
	s.free[c] = append(s.free[c], b[:size])
	s.spare += size
}
