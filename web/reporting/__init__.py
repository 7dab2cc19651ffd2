"""Reports as documents (R1.7, R1.9): one content, as a page, a workbook and a PDF."""

from web.reporting.documents import FORMATS, MEDIA_TYPES, Format, document

__all__ = ["FORMATS", "MEDIA_TYPES", "Format", "document"]
