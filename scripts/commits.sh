#!/usr/bin/env bash
# Every commit after the one that added this script says why: a subject of at most 72 characters, a blank line, a body.
set -euo pipefail
cd "$(dirname "$0")/.."
if ! git rev-parse --git-dir >/dev/null 2>&1; then
  echo "commit messages are not checked: no git repository here"
  exit 0
fi
added=$(git log --diff-filter=A --format=%H -- scripts/commits.sh | tail -1)
if [ -z "$added" ]; then
  echo "commit messages are not checked: this clone does not reach back to where the check began"
  exit 0
fi
bad=0
for commit in $(git rev-list --no-merges "$added..HEAD"); do
  subject=$(git log -1 --format=%s "$commit")
  body=$(git log -1 --format=%b "$commit")
  if [ ${#subject} -gt 72 ]; then
    echo "${commit:0:9} has a subject of ${#subject} characters, more than 72: $subject" >&2
    bad=1
  fi
  if [ -z "${body//[[:space:]]/}" ]; then
    echo "${commit:0:9} does not say why: $subject" >&2
    bad=1
  fi
done
if [ $bad -ne 0 ]; then
  echo "Mend with: git commit --amend (the last one), or git rebase -i and 'reword'." >&2
  exit 1
fi
