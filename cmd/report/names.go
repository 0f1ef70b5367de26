package main

// Runs are called by their directories' names, and by as much of the path as tells them apart.

import "path/filepath"

// nameRuns sets each run's name.
func nameRuns(runs []*run) {
	paths := make([]string, len(runs))
	for i, r := range runs {
		paths[i] = filepath.Clean(r.dir)
		if absolute, err := filepath.Abs(r.dir); err == nil {
			paths[i] = absolute
		}
	}
	for i, r := range runs {
		for parts := 1; ; parts++ {
			r.name = tail(paths[i], parts)
			if unique(paths, i, parts) {
				break
			}
		}
	}
}

// unique tells whether no other path ends in the same parts. Each path is there once, so that this ends.
func unique(paths []string, i, parts int) bool {
	for j, path := range paths {
		if j != i && tail(path, parts) == tail(paths[i], parts) {
			return false
		}
	}
	return true
}

// tail is the last parts of a path.
func tail(path string, parts int) string {
	end := filepath.Base(path)
	for ; parts > 1; parts-- {
		parent := filepath.Dir(path)
		if parent == path {
			break
		}
		path = parent
		end = filepath.Join(filepath.Base(path), end)
	}
	return end
}

// distinct drops directories that were named twice.
func distinct(dirs []string) []string {
	seen := map[string]bool{}
	var list []string
	for _, dir := range dirs {
		path := filepath.Clean(dir)
		if absolute, err := filepath.Abs(dir); err == nil {
			path = absolute
		}
		if !seen[path] {
			seen[path] = true
			list = append(list, dir)
		}
	}
	return list
}
