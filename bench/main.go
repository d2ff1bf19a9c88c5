package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"multihop/internal/e2e"
)

// options are the flags.
type options struct {
	sections      []int
	memory        bool
	out           string
	limit         time.Duration
	root          string // of the module multihop
	least, most   int    // rounds
	transferTime  time.Duration
	pingTime      time.Duration
	flood         time.Duration
	benchTime     time.Duration
	udpRate       float64
	flows         []int
	layers        []int
	layerRounds   int
	routingRounds int
	builds        []build
	peers         []subject
	programs      *e2e.Programs
}

func main() {
	o, err := parse(os.Args[1:])
	if err == nil {
		err = o.run()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func parse(args []string) (*options, error) {
	o := &options{builds: []build{{name: "multihop"}}}
	f := flag.NewFlagSet("bench", flag.ExitOnError)
	f.BoolVar(&o.memory, "memory", false, "measure in memory, without root, and nothing else")
	f.StringVar(&o.out, "out", "out", "`folder` of bench.json and the plots")
	f.DurationVar(&o.limit, "limit", 90*time.Minute, "how long it may take; rounds that do not fit are left out")
	f.StringVar(&o.root, "root", "..", "`folder` of the module multihop")
	f.IntVar(&o.least, "rounds", 7, "rounds, at least")
	f.IntVar(&o.most, "most", 15, "rounds, at most, until the medians settle")
	f.IntVar(&o.layerRounds, "layer-rounds", 7, "rounds of each number of layers, at least")
	f.IntVar(&o.routingRounds, "routing-rounds", 7, "rounds of the routing benchmarks, at least")
	f.DurationVar(&o.transferTime, "transfer", 3*time.Second, "length of a transfer")
	f.DurationVar(&o.pingTime, "ping", time.Second, "length of a series of pings")
	f.DurationVar(&o.flood, "flood", 3*time.Second, "length of a flood of small packets")
	f.DurationVar(&o.benchTime, "benchtime", 300*time.Millisecond, "length of a benchmark of section 5")
	f.Float64Var(&o.udpRate, "udp-rate", 200, "rate of the UDP measurement, in `Mbit/s`")
	sections := f.String("sections", "1,2,3,4,5", "`numbers` of what to measure")
	flows := f.String("flows", "1,4,16,64", "`numbers` of TCP flows")
	layers := f.String("layers", "1,2,4,8,12,16,19,22,23,32,48", "`numbers` of layers; beyond 23 links fragment")
	f.Func("variant", "another multihop: `NAME=[PROGRAM] [VARIABLE=VALUE ...]`; repeatable", func(s string) error {
		b, err := parseBuild(s)
		o.builds = append(o.builds, b)
		return err
	})
	f.Func("peer", "another client, `NAME=COMMAND`, for sections 2 and 4: run by sh with ENTRY, EXIT, TUN and TARGET; repeatable", func(s string) error {
		p, err := peer(s)
		o.peers = append(o.peers, p)
		return err
	})
	_ = f.Parse(args) // exits
	var err error
	if o.sections, err = numbers(*sections); err != nil {
		return nil, err
	}
	if o.flows, err = numbers(*flows); err != nil {
		return nil, err
	}
	o.layers, err = numbers(*layers)
	o.most = max(o.most, o.least)
	return o, err
}

func numbers(s string) ([]int, error) {
	var all []int
	for f := range strings.SplitSeq(s, ",") {
		n, err := strconv.Atoi(strings.TrimSpace(f))
		if err != nil || n < 1 {
			return nil, fmt.Errorf("%q: want numbers and commas", s)
		}
		all = append(all, n)
	}
	return all, nil
}

func (o *options) progress(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "%s  %s\n", time.Now().Format(time.TimeOnly), fmt.Sprintf(format, args...))
}

// run measures, and reports what there is even if a section failed.
func (o *options) run() error {
	if err := os.MkdirAll(o.out, 0o755); err != nil {
		return err
	}
	m := thisMachine(revision(o.root))
	r := &rounds{o: o, rec: newRecord()}
	measured := o.sections
	if o.memory {
		measured = []int{inMemory}
	}
	if err := r.rec.load(o.file(), measured); err != nil {
		return err
	}
	var err error
	if o.memory {
		r.rec.machines[inMemory] = m
		r.until = time.Now().Add(o.limit)
		err = errors.Join(r.memory(), o.write(r.rec))
	} else {
		err = r.sections(m)
	}
	r.rec.print(os.Stdout)
	r.rec.compare(os.Stdout, o.multihops())
	return errors.Join(err, r.rec.plot(o.out))
}

func (r *rounds) sections(m machine) error {
	o := r.o
	if !slices.Equal(o.sections, []int{5}) {
		if os.Geteuid() != 0 {
			return fmt.Errorf("needs root, for network namespaces; -memory and -sections 5 do not")
		}
		dir, err := os.MkdirTemp("", "multihop-bench-")
		if err != nil {
			return err
		}
		defer func() { _ = os.RemoveAll(dir) }()
		if o.programs, err = buildPrograms(o.root, dir); err != nil {
			return err
		}
	}
	one := []subject{wireguardGo()}
	two := []subject{nested()}
	for _, b := range o.builds {
		one, two = append(one, b.oneHop()), append(two, b.twoHops())
	}
	two = append(two, o.peers...)
	var errs []error
	end := time.Now().Add(o.limit)
	for i, n := range o.sections {
		r.until = time.Now().Add(share(time.Until(end), o.sections[i:]))
		switch n {
		case 1:
			errs = append(errs, r.hops(1, "one hop", one, near()))
		case 2:
			both := r.until
			r.until = time.Now().Add(time.Until(both) / 4)
			errs = append(errs, r.idle(2, one, two))
			r.until = both
			errs = append(errs, r.hops(2, "two hops", two, far()))
		case 3:
			plain := slices.DeleteFunc(slices.Clone(o.layers), func(n int) bool { return n > deepest })
			deep := slices.DeleteFunc(slices.Clone(o.layers), func(n int) bool { return n <= deepest })
			both := r.until
			if len(plain) > 0 && len(deep) > 0 {
				r.until = time.Now().Add(time.Until(both) * 2 / 3)
			}
			errs = append(errs, r.layers(3, plain, o.builds, false))
			r.until = both
			errs = append(errs, r.layers(3, deep, o.builds, true))
		case 4:
			errs = append(errs, r.detail(4, "two hops", two, far()))
		case 5:
			errs = append(errs, r.routing(5))
		default:
			errs = append(errs, fmt.Errorf("there is no section %d", n))
		}
		r.rec.machines[n] = m
		errs = append(errs, o.write(r.rec)) // what comes later may fail, or be interrupted
	}
	return errors.Join(errs...)
}

// share is how much of the time that is left the first of these sections may
// take.
func share(left time.Duration, sections []int) time.Duration {
	weight := func(n int) float64 {
		return map[int]float64{1: 3, 2: 4, 3: 14, 4: 7, 5: 4}[n]
	}
	var sum float64
	for _, n := range sections {
		sum += weight(n)
	}
	return time.Duration(float64(left) * weight(sections[0]) / max(sum, 1))
}

// multihops are the names of those that are measured.
func (o *options) multihops() []string {
	var all []string
	for _, b := range o.builds {
		all = append(all, b.name)
	}
	return all
}
