"""Neural ODEs and SDEs that are trained to be cheap to solve."""
