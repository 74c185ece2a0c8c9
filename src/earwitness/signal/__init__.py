"""Sound and its spectra: recordings, Fourier domains, masks over them. Knows no model and no search."""
