package router

// Explain says what a router would do with a packet of a flow right after
// applying the plan. It starts nothing, and so knows neither handshakes nor names
// nor the ports of links.
func (p *Plan) Explain(f Flow) Explanation {
	r := New(nil)
	defer r.end()
	hops, _, _ := r.hopsOf(p, r.table.Load())
	t, err := newTable(p, hops, nil)
	if err != nil {
		return Explanation{Dst: f.Dst, Src: f.Src}.dropped(dropMalformed, err.Error())
	}
	r.table.Store(t)
	for _, h := range hops {
		h.refresh()
	}
	return r.Explain(f)
}
