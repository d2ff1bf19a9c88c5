package main

import (
	"fmt"
	"io"
	"maps"
	"os/exec"
	"reflect"
	"slices"
	"strings"
	"text/tabwriter"
)

// revision is the checkout's, "" if git cannot say.
func revision(dir string) string {
	out, err := exec.Command("git", "-C", dir, "describe", "--always", "--dirty").Output()
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(out))
}

// printMachines says where and with what each section was measured.
func (r *record) printMachines(w io.Writer) {
	var sections [][]int
	for _, n := range slices.Sorted(maps.Keys(r.machines)) {
		i := slices.IndexFunc(sections, func(of []int) bool { return reflect.DeepEqual(r.machines[of[0]], r.machines[n]) })
		if i < 0 {
			i = len(sections)
			sections = append(sections, nil)
		}
		sections[i] = append(sections[i], n)
	}
	for _, of := range sections {
		r.machines[of[0]].print(w, of)
	}
}

func (m machine) print(w io.Writer, sections []int) {
	fmt.Fprintf(w, "\nsections %s: %v  %s, %d CPUs, %d MiB, Linux %s, %s, multihop %s, load %s\n",
		strings.Trim(fmt.Sprint(sections), "[]"), m.Time, m.CPU, m.CPUs, m.MemoryMiB, m.Kernel, m.Go, m.Revision, m.Load)
	for _, name := range slices.Sorted(maps.Keys(m.Modules)) {
		fmt.Fprintf(w, "  %s %s\n", name, m.Modules[name])
	}
}

// print prints the machines, and a table per case: a row per metric, a column per
// subject.
func (r *record) print(w io.Writer) {
	r.printMachines(w)
	type table struct {
		section int
		name    string
	}
	var tables []table
	for _, s := range r.all {
		if t := (table{s.Section, s.Case}); !slices.Contains(tables, t) {
			tables = append(tables, t)
		}
	}
	slices.SortStableFunc(tables, func(a, b table) int { return a.section - b.section })
	for _, t := range tables {
		r.printCase(w, t.section, t.name)
	}
}

func (r *record) printCase(w io.Writer, section int, name string) {
	all := r.find(section, name, "")
	var subjects, metrics []string
	for _, s := range all {
		if !slices.Contains(subjects, s.Subject) {
			subjects = append(subjects, s.Subject)
		}
		if !slices.Contains(metrics, s.Metric) {
			metrics = append(metrics, s.Metric)
		}
	}
	rounds := make([]int, len(all))
	for i, s := range all {
		rounds[i] = len(s.Values)
	}
	of := fmt.Sprint(slices.Max(rounds))
	if least := slices.Min(rounds); least != slices.Max(rounds) { // not everything is measured in each round
		of = fmt.Sprintf("%d to %s", least, of)
	}
	fmt.Fprintf(w, "\n%d. %s: medians of %s rounds (least to most)\n", section, name, of)
	tw := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	defer func() { _ = tw.Flush() }()
	if len(metrics) < len(subjects) { // a row per subject instead
		fmt.Fprintf(tw, "\t%s\n", strings.Join(metrics, "\t"))
		for _, s := range subjects {
			r.row(tw, s, metrics, func(m string) (string, string) { return m, s }, all)
		}
		return
	}
	fmt.Fprintf(tw, "\t%s\n", strings.Join(subjects, "\t"))
	for _, m := range metrics {
		r.row(tw, m, subjects, func(s string) (string, string) { return m, s }, all)
	}
}

// row prints a row; at gives the metric and subject of a column.
func (r *record) row(w io.Writer, head string, columns []string, at func(string) (metric, subject string), all []*series) {
	unit := ""
	var cells []string
	for _, c := range columns {
		metric, subject := at(c)
		i := slices.IndexFunc(all, func(s *series) bool { return s.Metric == metric && s.Subject == subject })
		if i < 0 {
			cells = append(cells, "-")
			continue
		}
		s := all[i]
		unit = s.Unit
		cells = append(cells, fmt.Sprintf("%s (%s to %s)", short(s.Median), short(s.Least), short(s.Most)))
	}
	if unit != "" {
		head += ", " + unit // of a row per subject, of all its metrics
	}
	fmt.Fprintf(w, "%s\t%s\n", head, strings.Join(cells, "\t"))
}

// short prints three digits or the whole part.
func short(v float64) string {
	switch {
	case v >= 100 || v == 0 || v <= -100:
		return fmt.Sprintf("%.0f", v)
	case v >= 10 || v <= -10:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.2f", v)
}
