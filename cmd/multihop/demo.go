package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"golang.zx2c4.com/wireguard/conn"
	"golang.zx2c4.com/wireguard/tun/netstack"

	"multihop/router"
	"multihop/tun"
)

// rttSamples are the small pages whose median time is a site's RTT.
const rttSamples = 21

// A demo is one run of "multihop demo".
type demo struct {
	size    int           // bytes to fetch from each site, if span allows
	span    time.Duration // of that fetch
	timeout time.Duration // of a fetch that gets nowhere

	misconfigure func(*router.Config) // in tests: what must not be proven
}

func newDemoCommand() *cobra.Command {
	d := &demo{size: 256 << 20, span: time.Second, timeout: 10 * time.Second}
	return d.command()
}

func (d *demo) command() *cobra.Command {
	return &cobra.Command{
		Use:   "demo",
		Short: "Show two hops at work, without root, files or a network",
		Long: text(`
Run a router, two WireGuard relays and two web sites in this one process, with
an internet in memory between them. One route leads to its site through the
entry, the other through the exit, which the entry carries. Fetch both sites and
print which hops each took, what address the site saw, round-trip time and
throughput.

The proof is read at the relays (what each decapsulated) and at the sites (where
packets came from), not at the client. The exit status is 1 if a path was not
proven. It takes a few seconds.`),
		Example: "  multihop demo",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			out := &checkedWriter{w: cmd.OutOrStdout()}
			if err := errors.Join(d.run(cmd.Context(), out), out.err); err != nil {
				return fmt.Errorf("demo: %w", err)
			}
			return nil
		},
	}
}

var errInterrupted = errors.New("interrupted")

// A checkedWriter remembers the first error of w: a table that nobody got
// proves nothing.
type checkedWriter struct {
	w   io.Writer
	err error
}

func (c *checkedWriter) Write(b []byte) (int, error) {
	n, err := c.w.Write(b)
	if c.err == nil {
		c.err = err
	}
	return n, err
}

// A fetched is what the client measured of one site.
type fetched struct {
	rtt     time.Duration
	mbits   float64 // per second
	problem error
}

func (d *demo) run(ctx context.Context, out io.Writer) (err error) {
	w, err := newDemoNet()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.close()) }()

	cfg := w.config()
	if d.misconfigure != nil {
		d.misconfigure(&cfg)
	}
	plan, err := router.Compile(cfg)
	if err != nil {
		return err
	}
	w.describe(out, plan)
	results, err := d.fetchAll(ctx, w, plan)
	if ctx.Err() != nil {
		return errInterrupted
	}
	if err != nil {
		return err
	}

	o := w.observe()
	w.report(out, o, results)
	for i, s := range w.sites {
		if p := results[i].problem; p != nil {
			err = errors.Join(err, fmt.Errorf("%s: %w", s.site.Name(), p))
		}
	}
	if err = errors.Join(err, o.prove(w)); err != nil {
		return err
	}
	fmt.Fprintln(out, "\nproven: each site was reached by the hops of its route, and by no others")
	return nil
}

// fetchAll runs a router as a program does that embeds it, with a TCP/IP stack
// of its own in place of the kernel's, and fetches each site through it.
func (d *demo) fetchAll(ctx context.Context, w *demoNet, plan *router.Plan) (results []fetched, err error) {
	dev, stack, err := netstack.CreateNetTUN(plan.Addrs, nil, plan.MTU)
	if err != nil {
		return nil, err
	}
	r := router.New(&router.Options{Bind: func(string) conn.Bind { return w.net.Bind(w.client) }})
	if err := errors.Join(r.SetTUN(tun.Queue(dev)), r.Apply(ctx, plan)); err != nil {
		return nil, errors.Join(err, r.Close())
	}
	ran := make(chan error, 1)
	go func() { ran <- r.Run(context.WithoutCancel(ctx)) }() // until Close, when the stack is still
	defer func() { err = errors.Join(err, r.Close(), <-ran) }()

	transport := &http.Transport{DialContext: stack.DialContext}
	defer func() {
		transport.CloseIdleConnections()
		w.net.Host(w.client).Settle() // before the stack is closed
	}()
	for _, s := range w.sites {
		results = append(results, d.fetch(ctx, &http.Client{Transport: transport}, s))
	}
	return results, nil
}

// fetch measures one site.
func (d *demo) fetch(ctx context.Context, client *http.Client, s demoSite) (f fetched) {
	ctx, cancel := context.WithTimeout(ctx, d.timeout+d.span)
	defer cancel()
	url := "http://" + s.addr.String() + "/"
	rtts := make([]time.Duration, rttSamples+1)
	for i := range rtts { // the first one also shakes hands
		start := time.Now()
		if _, err := fetchPage(ctx, client, url, time.Time{}); err != nil {
			return fetched{problem: err}
		}
		rtts[i] = time.Since(start)
	}
	rtts = rtts[1:]
	slices.Sort(rtts)
	f.rtt = rtts[len(rtts)/2]
	start := time.Now()
	n, err := fetchPage(ctx, client, fmt.Sprintf("%sbytes?n=%d", url, d.size), start.Add(d.span))
	if err != nil {
		return fetched{problem: fmt.Errorf("fetching %d bytes: %w", d.size, err)}
	}
	f.mbits = float64(n) * 8 / 1e6 / time.Since(start).Seconds()
	return f
}

// fetchPage fetches a page, until end if that is not zero, and returns how many bytes
// it read.
func fetchPage(ctx context.Context, client *http.Client, url string, end time.Time) (n int64, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, err
	}
	resp, err := client.Do(req)
	if err != nil {
		return 0, err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return 0, errors.New(resp.Status)
	}
	for buf := make([]byte, 64<<10); end.IsZero() || time.Now().Before(end); {
		m, err := resp.Body.Read(buf)
		n += int64(m)
		if errors.Is(err, io.EOF) {
			return n, nil
		}
		if err != nil {
			return n, err
		}
	}
	return n, nil
}

// report prints what was measured and what was observed.
func (w *demoNet) report(out io.Writer, o observed, results []fetched) {
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "SITE\tHOPS TAKEN\tADDRESS THAT THE SITE SAW\tRTT\tTHROUGHPUT")
	for i, s := range w.sites {
		rtt, rate := "-", "-"
		if f := results[i]; f.problem == nil {
			rtt = fmt.Sprintf("%.2f ms", f.rtt.Seconds()*1e3)
			rate = fmt.Sprintf("%.0f Mbit/s", f.mbits)
		}
		fmt.Fprintf(t, "%s %s\t%s\t%s\t%s\t%s\n", s.site.Name(), s.addr, o.path(w, s), o.sources(s), rtt, rate)
	}
	_ = t.Flush()

	fmt.Fprintln(out)
	t = tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "RELAY\tDECAPSULATED\tFROM\tTO")
	for _, r := range w.relays {
		for _, f := range sortedFlows(o.relays[r.name]) {
			fmt.Fprintf(t, "%s\t%d packets of %s\t%s\t%s\n", r.name, o.relays[r.name][f], protocolName(f.Proto), f.Src, f.Dst)
		}
	}
	_ = t.Flush()
}
