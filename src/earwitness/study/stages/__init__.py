"""The stages of a study, one file each: what of an analysis the store lacks, and what it holds, as tables."""
