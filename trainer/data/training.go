package data

// The training corpus, whole or in stages, and what of it is evaluated.

import (
	"context"
	"fmt"
	"maps"
	"slices"
)

// trainingPart is the training corpus, or a stage of it.
type trainingPart struct {
	name   string // of the stage; "": it is the whole
	corpus *corpus
	cache  *cache
}

// called is how a warning calls it.
func (p *trainingPart) called() string {
	if p.name == "" {
		return "data.train"
	}
	return "stage " + p.name
}

func (d *Dataset) open(ctx context.Context) error {
	o := d.options
	parts, err := d.openTraining(ctx)
	if err != nil {
		return err
	}
	all := func(int64, uint64) bool { return true }
	var train, eval []*stream
	if len(o.Eval) > 0 {
		evalCorpus, err := newCorpus(o.FS, o.Eval, o)
		if err != nil {
			return err
		}
		for _, p := range parts {
			warnOfOverlap(o.Log, p, evalCorpus, "data.eval", "the evaluation sees what was trained on")
		}
		evalCache, err := d.openCache(ctx, evalCorpus)
		if err != nil {
			return err
		}
		eval = []*stream{newStream(evalCache, all, o.EndToken)}
	}
	names := make([]string, len(parts))
	for i, p := range parts {
		names[i] = p.name
		inTrain := all
		if len(o.Eval) == 0 && o.EvalFraction > 0 {
			inEval := divide(p, o.EvalFraction, o.Log)
			inTrain = func(_ int64, hash uint64) bool { return !inEval(hash) }
			eval = append(eval, newStream(p.cache, func(_ int64, hash uint64) bool { return inEval(hash) }, o.EndToken))
		}
		train = append(train, newStream(p.cache, inTrain, o.EndToken))
	}
	if o.Divide != nil {
		if train, names, err = d.divideStages(train[0]); err != nil {
			return err
		}
	}
	return d.makeRows(train, names, eval)
}

// openTraining opens the stages, or what the whole training corpus is.
func (d *Dataset) openTraining(ctx context.Context) (parts []*trainingPart, err error) {
	o := d.options
	if len(o.Stages) == 0 {
		whole := &trainingPart{}
		if whole.corpus, err = o.trainCorpus(); err == nil {
			whole.cache, err = d.openCache(ctx, whole.corpus)
		}
		return []*trainingPart{whole}, err
	}
	for i, s := range o.Stages { // all names are right before the first text is read
		c, err := newCorpus(o.FS, s.Data, o)
		if err != nil {
			return nil, &stageError{i, s.Name, err}
		}
		p := &trainingPart{name: s.Name, corpus: c}
		parts = append(parts, p)
	}
	warnOfSharedFiles(o.Log, parts)
	for i, p := range parts {
		if p.cache, err = d.openCache(ctx, p.corpus); err != nil {
			return nil, &stageError{i, p.name, err}
		}
	}
	return parts, nil
}

// trainCorpus lists the training documents: those of Train, or the embedded ones.
func (o Options) trainCorpus() (*corpus, error) {
	if len(o.Train) > 0 {
		return newCorpus(o.FS, o.Train, o)
	}
	names, err := embeddedFiles(o.Embedded)
	if err != nil {
		return nil, fmt.Errorf("data: the embedded corpus: %w", err)
	}
	return newCorpus(FromFS(o.Embedded), names, o)
}

// warnOfSharedFiles names the files that are in several stages.
func warnOfSharedFiles(log func(string, ...any), stages []*trainingPart) {
	in := map[string][]*trainingPart{}
	for _, p := range stages {
		for _, s := range p.corpus.sources {
			if of := in[s.path]; len(of) == 0 || of[len(of)-1] != p {
				in[s.path] = append(of, p)
			}
		}
	}
	for _, path := range slices.Sorted(maps.Keys(in)) {
		switch of := in[path]; {
		case len(of) == 2:
			log("warning: %s is both in %s and in %s: rows of it are drawn for both", path, of[0].called(), of[1].called())
		case len(of) > 2:
			log("warning: %s is in %d stages, %s and %s among them: rows of it are drawn for each", path, len(of), of[0].name, of[1].name)
		}
	}
}

// warnOfOverlap names the files of a part of the training corpus that are in other as well, which is called so, and what of it.
func warnOfOverlap(log func(string, ...any), part *trainingPart, other *corpus, called, soWhat string) {
	names := map[string]bool{}
	for _, s := range part.corpus.sources {
		names[s.path] = true
	}
	for _, s := range other.sources {
		if names[s.path] {
			log("warning: %s is both in %s and in %s: %s", s.path, part.called(), called, soWhat)
		}
	}
}
