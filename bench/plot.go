package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/plotutil"
	"gonum.org/v1/plot/vg"
)

// Size of the plots.
const (
	plotWidth  = 18 * vg.Centimeter
	plotHeight = 11 * vg.Centimeter
)

// plot draws what was measured as SVG files in dir.
func (r *record) plot(dir string) error {
	var errs []error
	draw := func(file string, err error, p *plot.Plot) {
		if err == nil && p != nil {
			err = p.Save(plotWidth, plotHeight, filepath.Join(dir, file+".svg"))
		}
		errs = append(errs, err)
	}
	for _, m := range []struct{ metric, unit, file string }{
		{throughput, "Mbit/s", "throughput"}, {yardstick, "client's CPU / entry relay's", "cpu"},
	} {
		for _, c := range []struct {
			section int
			name    string
		}{{1, "one hop"}, {2, "two hops"}} {
			p, err := r.bars(c.section, c.name, []string{m.metric + " up", m.metric + " down"}, m.unit)
			draw(strings.ReplaceAll(c.name, " ", "-")+"-"+m.file, err, p)
		}
	}
	for _, m := range []struct{ metric, unit, file string }{
		{throughput + " up", "Mbit/s", "layers-throughput-up"}, {throughput + " down", "Mbit/s", "layers-throughput-down"},
		{"RTT p50", "ms", "layers-rtt"}, {peakRSS, "MiB", "layers-rss"},
	} {
		p, err := r.lines(3, " layers", m.metric, "layers", m.unit)
		draw(m.file, err, p)
	}
	for _, way := range []string{" up", " down"} {
		p, err := r.lines(4, " flows", throughput+way, "TCP flows", "Mbit/s")
		draw("flows"+strings.ReplaceAll(way, " ", "-"), err, p)
	}
	for _, way := range []string{" up", " down"} {
		p, err := r.lines(inMemory, " hops", "900 bytes"+way, "hops", "packets/s")
		draw("memory"+strings.ReplaceAll(way, " ", "-"), err, p)
	}
	return errors.Join(errs...)
}

// bars draws a group of bars per metric, a bar per subject. Nil: nothing was
// measured.
func (r *record) bars(section int, name string, metrics []string, unit string) (*plot.Plot, error) {
	var subjects []string
	for _, s := range r.find(section, name, metrics[0]) {
		subjects = append(subjects, s.Subject)
	}
	if len(subjects) == 0 {
		return nil, nil
	}
	p := plot.New()
	p.Title.Text, p.Y.Label.Text, p.Y.Min = name+" (medians)", unit, 0
	const width = 0.6 * vg.Centimeter
	for i, who := range subjects {
		var values plotter.Values
		for _, m := range metrics {
			v := 0.0
			for _, s := range r.find(section, name, m) {
				if s.Subject == who {
					v = s.Median
				}
			}
			values = append(values, v)
		}
		b, err := plotter.NewBarChart(values, width)
		if err != nil {
			return nil, err
		}
		b.Color, b.LineStyle.Width = plotutil.Color(i), 0
		b.Offset = width * vg.Length(float64(i)-float64(len(subjects)-1)/2)
		p.Add(b)
		p.Legend.Add(who, b)
	}
	p.Legend.Top = true
	p.Y.Max *= 1.1 + 0.08*float64(len(subjects)) // room for the legend
	p.NominalX(metrics...)
	p.X.Min, p.X.Max = -0.6, float64(len(metrics))-0.4
	return p, nil
}

// lines draws a metric over the number in front of what the case's name ends
// with, a line per subject, on logarithmic axes. Nil: there are no two points.
func (r *record) lines(section int, suffix, metric, x, y string) (*plot.Plot, error) {
	points := make(map[string]plotter.XYs)
	var subjects []string
	for _, s := range r.find(section, "", metric) {
		head, ok := strings.CutSuffix(s.Case, suffix)
		n, err := strconv.Atoi(head[strings.LastIndexByte(head, ' ')+1:])
		if !ok || err != nil || s.Median <= 0 {
			continue
		}
		if !slices.Contains(subjects, s.Subject) {
			subjects = append(subjects, s.Subject)
		}
		points[s.Subject] = append(points[s.Subject], plotter.XY{X: float64(n), Y: s.Median})
	}
	subjects = slices.DeleteFunc(subjects, func(who string) bool { return len(points[who]) < 2 })
	if len(subjects) == 0 {
		return nil, nil
	}
	p := plot.New()
	p.Title.Text, p.X.Label.Text, p.Y.Label.Text = fmt.Sprintf("%s (medians)", metric), x, y
	p.Y.Scale, p.Y.Tick.Marker = plot.LogScale{}, plot.LogTicks{Prec: -1}
	p.Add(plotter.NewGrid())
	var args []any
	for _, who := range subjects {
		args = append(args, who, points[who])
	}
	first := points[subjects[0]]
	p.Legend.Top = true
	p.Legend.Left = first[len(first)-1].Y > first[0].Y // where no line goes
	var ticks plot.ConstantTicks
	for _, at := range first {
		ticks = append(ticks, plot.Tick{Value: at.X, Label: strconv.Itoa(int(at.X))})
	}
	p.X.Tick.Marker = ticks
	return p, plotutil.AddLinePoints(p, args...)
}
